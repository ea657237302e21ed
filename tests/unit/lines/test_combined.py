"""The short way through a combined line: what it accepts, the pattern accepts, with the same result."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

import pytest

from obsctl.lines.formats import combined
from obsctl.lines.formats.line import AccessLine, LineError

_STAMP = "02/Jan/2026:03:04:05 +0100"
_LINE = f'198.51.100.7 - alice [{_STAMP}] "GET /a?b=c HTTP/1.1" 200 512 "https://example.com/" "agent/1.0"'


def read(parse: Callable[[str], AccessLine], line: str) -> AccessLine | tuple[str, str]:
    """Return the line, or why it is none."""
    try:
        return parse(line)
    except LineError as error:
        return error.reason, error.detail


def test_a_usual_line_goes_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = combined.parse_by_pattern(_LINE)
    monkeypatch.setattr(combined, "parse_by_pattern", None)
    access = combined.parse(_LINE)
    assert access == expected
    assert (access.remote_user, access.uri, access.status, access.bytes) == ("alice", "/a?b=c", 200, 512)


@pytest.mark.parametrize(
    "odd", ["", " ", "-", ",", "\t", "\n", "\xa0", "\u2028", '"', "\\", "[", "]", "+", "_", "\u0661", "0"]
)
def test_odd_characters_anywhere_change_nothing(odd: str) -> None:
    """Each line with one character put in, left out or replaced is read alike both ways."""
    for place, length in itertools.product(range(len(_LINE) + 1), (0, 1)):
        line = _LINE[:place] + odd + _LINE[place + length :]
        assert read(combined.parse, line) == read(combined.parse_by_pattern, line), line


def test_random_pieces_change_nothing() -> None:
    rand = random.Random(1)  # noqa: S311  the same lines each time
    pieces = ["1.2.3.4", " ", " ", "-", '"', '"', f"[{_STAMP}]", "GET", "/", "HTTP/1.1", "200", "17", "\t", ","]
    for _ in range(20_000):
        words = _LINE.split(" ")
        for _ in range(rand.randint(1, 3)):
            words[rand.randrange(len(words))] = rand.choice(pieces)
        line = " ".join(words)
        assert read(combined.parse, line) == read(combined.parse_by_pattern, line), line


def test_a_blank_at_another_place_changes_nothing() -> None:
    without = _LINE.replace(" +0100]", "+0100]")
    for place in range(len(without) + 1):
        line = without[:place] + " " + without[place:]
        assert read(combined.parse, line) == read(combined.parse_by_pattern, line), line


@pytest.mark.parametrize("length", [100, 254, 255, 256, 16_000, 17_000])
@pytest.mark.parametrize("place", ["198.51.100.7", "alice", "/a?b=c", "agent/1.0"])
def test_long_fields_change_nothing(place: str, length: int) -> None:
    line = _LINE.replace(place, place + "a" * length)
    assert read(combined.parse, line) == read(combined.parse_by_pattern, line)
