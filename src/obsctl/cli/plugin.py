"""``-o nagios`` as a monitoring system runs it: an exit code from 0 to 3 and one line, however the command ends."""

from __future__ import annotations

import re
from collections.abc import Sequence

#: ``-o`` may follow short options without a value, and its value may follow directly: ``-qonagios``.
_SHORT = re.compile(r"-[a-np-z]*o=?(.*)").fullmatch


def asked_for(words: Sequence[str]) -> bool:
    """Whether a command line, even an invalid one, contains ``-o nagios``; the last ``-o`` counts."""
    last = ""
    for at, word in enumerate(words):
        if word == "--":
            break
        name, equals, value = word.partition("=")
        short = None if word.startswith("--") else _SHORT(word)
        if name == "--output":
            last = value if equals else _next(words, at)
        elif short:
            last = short[1] or _next(words, at)
    return last == "nagios"


def _next(words: Sequence[str], at: int) -> str:
    return words[at + 1] if at + 1 < len(words) else ""


def line(command: str, reason: str) -> str:
    """Return the line of a command without a report, with the reason."""
    from obsctl.render.nagios import unknown

    return unknown(command, reason)
