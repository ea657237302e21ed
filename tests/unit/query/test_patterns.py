"""Wildcards, against the obvious way to compare them, and on texts that are made to take long."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsctl.query import patterns
from obsctl.query.tree import Mark, Pattern

ANY, ONE = Mark.ANY, Mark.ONE
_written = st.lists(st.sampled_from(["a", "b", "?", "*", r"\*", r"\?", r"\\", r"\a", "\n"]), max_size=8).map("".join)


def by_regular_expression(pattern: Pattern, text: str) -> bool:
    marks = {ANY: ".*", ONE: "."}
    return re.fullmatch("".join(marks.get(p) or re.escape(p) for p in pattern), text, re.DOTALL) is not None


@given(_written, st.text(alphabet="ab?*\\\n", max_size=12))
def test_a_pattern_fits_what_it_should(written: str, text: str) -> None:
    pattern = patterns.read(written)
    assert patterns.matcher(pattern)(text) is by_regular_expression(pattern, text)


@pytest.mark.parametrize(
    ("written", "pattern"),
    [
        ("abc", ("abc",)),
        ("", ()),
        ("a*", ("a", ANY)),
        ("a**b", ("a", ANY, "b")),
        ("a*?*b", ("a", ANY, ONE, ANY, "b")),
        ("??", (ONE, ONE)),
        (r"a\*b", ("a*b",)),
        (r"\\*", ("\\", ANY)),
        (r"\/api\?", ("/api?",)),
    ],
)
def test_a_pattern_is_read(written: str, pattern: Pattern) -> None:
    assert patterns.read(written) == pattern


def test_a_hostile_text_costs_no_more_than_its_length() -> None:
    """A backtracking comparison would not end in this universe: 16 stars over 60,000 equal characters."""
    text = "a" * 60_000
    assert not patterns.matcher(patterns.read("*a" * 15 + "*b"))(text)
    assert not patterns.matcher(patterns.read("*?a" * 15 + "*b?"))(text)
    assert patterns.matcher(patterns.read("*a?" * 15 + "*"))(text)
