"""How many of the calls that last may run at the same time."""

from __future__ import annotations

import threading

from obsctl.console.web.problems import ProblemError


class Turns:
    """Places for calls of one kind.

    Args:
        most: so many may run at the same time.
        what: they are, in the plural.
    """

    def __init__(self, most: int, what: str) -> None:
        self._free = threading.BoundedSemaphore(most)
        self._what = what

    def take(self) -> None:
        """Begin one.

        Raises:
            ProblemError: too many run.
        """
        if not self._free.acquire(blocking=False):
            detail = f"too many {self._what} run at the same time; try again"
            raise ProblemError(429, "busy", detail, headers={"retry-after": "2"})

    def give_back(self) -> None:
        """End one."""
        self._free.release()
