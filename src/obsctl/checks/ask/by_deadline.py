"""Runs many queries at the same time, and waits for them until a deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable


def ask_until(deadline: float, questions: Iterable[Callable[[], None]]) -> None:
    """Run all queries, each in its own thread, and return at the deadline at the latest.

    A query stores its answer itself. One that hangs is abandoned: a name server that does not answer must not keep the
    process alive.

    Args:
        deadline: on the monotonic clock.
    """
    threads = [threading.Thread(target=question, daemon=True) for question in questions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
