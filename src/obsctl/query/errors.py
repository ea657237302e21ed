"""What is wrong with a filter, and where."""

from __future__ import annotations

import unicodedata

from obsctl.core.errors import ConfigError

#: Characters of the filter that are shown on each side of the place.
_AROUND = 60


class QueryError(ConfigError):
    """A filter is invalid.

    Attributes:
        problem: what is wrong, as one sentence without its place.
        text: the filter.
        column: of the first wrong character, counted from 1.
        token: the wrong part of the text; empty at its end.
        hint: what to write instead, or an empty string.
    """

    def __init__(self, problem: str, text: str, start: int, end: int, *, hint: str = "") -> None:
        self.problem = _shown(problem)
        self.text = text
        self.column = start + 1
        self.token = text[start:end]
        super().__init__(f"filter, column {self.column}: {self.problem}\n{self.pointer}", hint=_shown(hint))

    @property
    def pointer(self) -> str:
        """Two lines: the filter around the place, and carets below the token."""
        start = self.column - 1
        first = max(0, start - _AROUND)
        before, token = _shown(self.text[first:start]), _shown(self.token[:_AROUND])
        after = _shown(self.text[start + len(self.token) :][:_AROUND])
        return f"  {before}{token}{after}\n  {' ' * _cells(before)}{'^' * max(1, _cells(token))}"


def _shown(text: str) -> str:
    """Return the text with a blank for each character that a terminal would obey instead of showing it."""
    return "".join(character if character.isprintable() else " " for character in text)


def _cells(text: str) -> int:
    """Return how many columns of a terminal the text takes: Chinese characters take two, accents none."""
    return sum(
        0 if unicodedata.combining(character) else 1 + (unicodedata.east_asian_width(character) in "WF")
        for character in text
    )
