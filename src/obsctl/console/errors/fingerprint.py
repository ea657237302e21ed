"""The common text of similar errors, with everything that varies masked; pure.

``*`` replaces what was masked, so a masked text is also a pattern that matches its lines.
"""

from __future__ import annotations

import functools
import hashlib
import re
from typing import NamedTuple

from obsctl.query.fields import ERROR, LEVELS, Table
from obsctl.query.patterns import MAX_STARS
from obsctl.query.text import to_text
from obsctl.query.tree import Mark, Node, Range, Term, Wildcard, conjunction, disjunction

MASK = "*"
#: How many characters of a text are used, and the longest masked text.
LONGEST = 500
#: The least severe level and the lowest status that count as errors.
LEAST_LEVEL, LEAST_STATUS = "warn", 500
LEVELS_OF_ERRORS = LEVELS[LEVELS.index(LEAST_LEVEL) :]
#: A word of at least this length counts as an id, whatever its characters.
_LONG_WORD = 40
#: What is masked: a quoted text without blanks (a path, a name), a UUID, an IPv6 address, an escaped byte; a word.
_PART = re.compile(
    r'"[^"\s]+"'
    r"|[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}"
    r"|(?<![\w:*])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:*])"
    r"|%[0-9A-Fa-f]{2}"
    r"|(\w+)"
)
_hexadecimal = re.compile(r"[0-9A-Fa-f]{8,}").fullmatch
#: Masks that belong together: the parts of a number, of an address with its port, of a time.
_JOINED = re.compile(r"\*(?:[.:,-]?\*)+")


class Fingerprint(NamedTuple):
    """A group of errors.

    Attributes:
        error_id: 16 bytes, a hash of the other attributes.
        kind: what distinguishes groups besides their text: the level, or status and method; empty for the group of all
            other errors.
        masked: the common text.
    """

    error_id: bytes
    kind: str
    masked: str


@functools.lru_cache(maxsize=8192)
def fingerprint(table: str, kind: str, text: str) -> Fingerprint:
    """Return the group of an error.

    Args:
        table: of its line.
        kind: as in :class:`Fingerprint`.
        text: the message, or the path of the request.
    """
    masked = mask(text)
    whole = "\0".join((table, kind, masked)).encode(errors="surrogatepass")
    return Fingerprint(hashlib.blake2b(whole, digest_size=16).digest(), kind, masked)


def mask(text: str) -> str:
    """Return a text with everything that varies masked: it has no digits, and masking it again changes nothing."""
    if len(text) > LONGEST:
        text = text[: LONGEST - len(MASK)] + MASK
    return _JOINED.sub(MASK, _PART.sub(_masked, text))


def _masked(found: re.Match[str]) -> str:
    word = found[1]
    if word is None:
        return f'"{MASK}"' if found[0].startswith('"') else MASK
    varies = len(word) >= _LONG_WORD or _hexadecimal(word) or any(map(str.isdecimal, word))
    return MASK if varies else word


def path_of(uri: str) -> str:
    """Return a request's target without its query string."""
    return uri.partition("?")[0]


def filter_of(table: Table, kind: str, masked: str) -> str:
    """Return the filter that finds the lines of a group, and perhaps some others."""
    if table is ERROR:
        if not kind:
            return to_text(Range("level", LEAST_LEVEL, None))
        return to_text(conjunction((Term("level", kind), _fits("message", masked))))
    if not kind:
        return to_text(Range("status", LEAST_STATUS, None))
    status, _, method = kind.partition(" ")
    conditions: list[Node] = [Term("status", int(status))]
    if method:
        conditions.append(Term("method", method))
    conditions.append(disjunction((_fits("uri", masked), _fits("uri", f"{masked}?{MASK}"))))
    return to_text(conjunction(conditions))


def _fits(field: str, masked: str) -> Node:
    """Return the condition that a text matches a masked one, up to the most wildcards that a filter may have."""
    first, *others = masked.split(MASK)
    if len(others) > MAX_STARS:
        others = [*others[: MAX_STARS - 1], ""]
    pattern: list[str | Mark] = [first] if first else []
    for piece in others:
        pattern += [Mark.ANY, piece] if piece else [Mark.ANY]
    return Wildcard(field, tuple(pattern)) if others else Term(field, masked)
