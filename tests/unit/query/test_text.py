"""What is printed reads as the same filter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsctl.query.fields import ACCESS, ERROR, TABLES, Table
from obsctl.query.parse import parse
from obsctl.query.text import to_text
from obsctl.query.tree import Node
from tests.unit.query.trees import trees


def _tree_of(table: Table) -> st.SearchStrategy[tuple[Table, Node]]:
    return st.tuples(st.just(table), trees(table))


@given(st.one_of(*map(_tree_of, TABLES)))
def test_a_tree_survives_being_printed(case: tuple[Table, Node]) -> None:
    table, tree = case
    assert parse(to_text(tree), table) == tree


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        (r"status:[500 TO 599] && uri:\/api*", r"status:[500 TO 599] AND uri:\/api*"),
        (r"NOT client_addr:10.1.2.3\/8", 'NOT client_addr:"10.0.0.0/8"'),
        ("status:(404 OR 410) method:GET", "(status:404 OR status:410) AND method:GET"),
        ("a OR (b c)", "a OR b AND c"),
        ("-(a OR b)", "NOT (a OR b)"),
        ("status:[* TO 399]", "status:<=399"),
        ("status:{400 TO 500]", "status:{400 TO 500]"),
        ("ts:>=now-15m ts:<2026-01-31T09:30:00+08:00", 'ts:>=now-15m AND ts:<"2026-01-31T01:30:00Z"'),
        ('uri:"/a b"', 'uri:"/a b"'),
        ("uri:a\\ b*", "uri:a\\ b*"),
        ("_exists_:referer", "referer:*"),
        ("*:*", "*"),
        ("request_time:>0.50", "request_time:>0.50"),
        ('uri:"AND" "not"', 'uri:"AND" AND "not"'),
    ],
)
def test_it_is_printed_as_a_person_would_write_it(written: str, printed: str) -> None:
    assert to_text(parse(written, ACCESS)) == printed


def test_levels_are_printed_as_a_comparison() -> None:
    assert to_text(parse("level:>=ERROR", ERROR)) == "level:>=error"
