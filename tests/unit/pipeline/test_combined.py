"""The short way through a combined line: what it accepts, the pattern accepts, with the same result."""

from __future__ import annotations

import itertools
import random

import pytest

from obsctl.pipeline.formats import combined

_STAMP = "02/Jan/2026:03:04:05 +0100"
_LINE = f'198.51.100.7 - alice [{_STAMP}] "GET /a?b=c HTTP/1.1" 200 512 "https://example.com/" "agent/1.0"'


@pytest.fixture(autouse=True)
def _second_is_known() -> None:
    combined.parse(_LINE)


def test_a_usual_line_goes_the_short_way() -> None:
    access = combined._parse_split(_LINE)
    assert access is not None
    assert access == combined._parse_usual(_LINE)
    assert (access.remote_user, access.uri, access.status, access.bytes) == ("alice", "/a?b=c", 200, 512)


@pytest.mark.parametrize(
    "odd", ["", " ", "-", ",", "\t", "\n", "\xa0", "\u2028", '"', "\\", "[", "]", "+", "_", "\u0661", "0"]
)
def test_odd_characters_anywhere_change_nothing(odd: str) -> None:
    """Each line with one character put in, left out or replaced is read alike both ways, or not the short way."""
    for place, length in itertools.product(range(len(_LINE) + 1), (0, 1)):
        line = _LINE[:place] + odd + _LINE[place + length :]
        short = combined._parse_split(line)
        assert short is None or short == combined._parse_usual(line), line


def test_random_pieces_change_nothing() -> None:
    rand = random.Random(1)  # noqa: S311  the same lines each time
    pieces = ["1.2.3.4", " ", " ", "-", '"', '"', f"[{_STAMP}]", "GET", "/", "HTTP/1.1", "200", "17", "\t", ","]
    for _ in range(20_000):
        words = _LINE.split(" ")
        for _ in range(rand.randint(1, 3)):
            words[rand.randrange(len(words))] = rand.choice(pieces)
        line = " ".join(words)
        short = combined._parse_split(line)
        assert short is None or short == combined._parse_usual(line), line
