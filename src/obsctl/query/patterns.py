"""Texts with wildcards: how a filter writes them, and how a line is compared with one in linear time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from obsctl.query.tree import Mark, Pattern

#: Of ``*`` in one value: the databases compare them by recursion.
MAX_STARS = 16


def read(written: str) -> Pattern:
    r"""Return the pattern of a text as a filter holds it: ``*`` and ``?`` are marks, behind a ``\`` they are not."""
    parts: list[str | Mark] = []
    literal = ""
    characters = iter(written)
    for character in characters:
        if character in "*?":
            mark = Mark(character)
            parts += [literal] if literal else []
            parts += [mark] if mark is Mark.ONE or literal or parts[-1:] != [mark] else []
            literal = ""
        else:
            literal += next(characters) if character == "\\" else character
    return tuple([*parts, literal] if literal else parts)


def literal(pattern: Pattern) -> str | None:
    """Return the text that a pattern without marks stands for; None if it has marks."""
    if not pattern:
        return ""
    return pattern[0] if len(pattern) == 1 and isinstance(pattern[0], str) else None


class Segment:
    """A piece between two ``*``: all its matches have the same length, so a search for it needs no backtracking.

    Attributes:
        length: in characters.
        find: the first place at or behind a position where it fits, or -1.
        fits_at: whether it fits at a position.
    """

    def __init__(self, parts: Pattern) -> None:
        self.length = sum(1 if isinstance(part, Mark) else len(part) for part in parts)
        self.find: Callable[[str, int], int]
        self.fits_at: Callable[[str, int], bool]
        text = literal(parts)
        if text is not None:
            self.find, self.fits_at = (
                (lambda whole, start: whole.find(text, start)),
                lambda whole, at: whole.startswith(text, at),
            )
        else:
            compiled = re.compile("".join("." if isinstance(p, Mark) else re.escape(p) for p in parts), re.DOTALL)
            self.find = lambda whole, start: found.start() if (found := compiled.search(whole, start)) else -1
            self.fits_at = lambda whole, at: compiled.match(whole, at) is not None


def segments(pattern: Pattern) -> Iterator[Pattern]:
    """Yield the pieces between the ``*``; the first and the last may be empty."""
    piece: list[str | Mark] = []
    for part in pattern:
        if part is Mark.ANY:
            yield tuple(piece)
            piece = []
        else:
            piece.append(part)
    yield tuple(piece)


def matcher(pattern: Pattern) -> Callable[[str], bool]:
    """Return whether a whole text fits the pattern, as a function.

    Each piece is matched at its first possible place, which is right because the text after a ``*`` may begin
    anywhere. A regular expression would try all combinations of places.
    """
    first, *others = (Segment(piece) for piece in segments(pattern))
    if not others:
        return lambda text: len(text) == first.length and first.fits_at(text, 0)
    *inner, last = others
    least = first.length + last.length

    def fits(text: str) -> bool:
        end = len(text) - last.length
        if len(text) < least or not first.fits_at(text, 0) or not last.fits_at(text, end):
            return False
        at = first.length
        for piece in inner:
            found = piece.find(text, at)
            if found < 0:
                return False
            at = found + piece.length
        return at <= end

    return fits
