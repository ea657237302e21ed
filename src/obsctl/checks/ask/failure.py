"""Why a connection brought no answer, in a few words: the same ones from every check."""

from __future__ import annotations

NO_ANSWER = "no answer in time"


def in_words(error: OSError) -> str:
    """Return what the operating system says of a failed connection."""
    if isinstance(error, TimeoutError):
        return NO_ANSWER
    return (error.strerror or str(error) or type(error).__name__).lower()
