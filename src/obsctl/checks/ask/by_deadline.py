"""Many questions asked at the same time, whose answers are waited for until a moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable


def ask_until(deadline: float, questions: Iterable[Callable[[], None]]) -> None:
    """Ask all of them, each in a thread of its own, and return at the deadline at the latest.

    A question notes its answer itself. One that hangs is left behind: a name server that does not answer must not keep
    the process alive.

    Args:
        deadline: on the monotonic clock.
    """
    threads = [threading.Thread(target=question, daemon=True) for question in questions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
