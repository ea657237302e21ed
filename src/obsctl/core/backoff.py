"""How long to wait before a retry: longer each time, up to a limit, and with jitter."""

from __future__ import annotations

import random


class Backoff:
    """Delays that double from ``first`` to ``longest`` seconds; each is random between half of it and all of it."""

    def __init__(self, first: float = 0.1, longest: float = 5.0) -> None:
        self._first = first
        self._longest = longest
        self._next = first

    def delay(self) -> float:
        """Return the next delay in seconds."""
        delay, self._next = self._next, min(self._next * 2, self._longest)
        return delay * random.uniform(0.5, 1.0)  # noqa: S311  spreads, hides nothing

    def reset(self) -> None:
        """Restart with the first delay."""
        self._next = self._first
