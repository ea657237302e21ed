"""The texts for timeouts. A refused connection is not one: its host is up. Pure."""

from __future__ import annotations

NO_ANSWER = "no answer in time"


def is_silence(failure: str) -> bool:
    """Whether a failure is a timeout, as with a frozen process or an unreachable host."""
    return failure.startswith("no answer")
