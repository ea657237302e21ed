"""Why a connection got no answer, in the same few words in every check."""

from __future__ import annotations

from obsctl.checks.silence import NO_ANSWER


def in_words(error: OSError) -> str:
    """Return the operating system's text for a failed connection."""
    if isinstance(error, TimeoutError):
        return NO_ANSWER
    return (error.strerror or str(error) or type(error).__name__).lower()
