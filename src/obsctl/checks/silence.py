"""The words for a timeout. A refused connection is an answer: its host is up. Pure."""

from __future__ import annotations

NO_ANSWER = "no answer in time"


def is_silence(failure: str) -> bool:
    """Whether a failure is that nothing came in time, as of a frozen process or a host that is gone."""
    return failure.startswith("no answer")
