"""The condition of SQL: it is what the tree says, and no text of a filter is a part of it."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsctl.query.errors import QueryError
from obsctl.query.fields import ACCESS, TABLES, Table
from obsctl.query.parse import parse
from obsctl.query.sql import to_sql
from obsctl.query.tree import All, And, Exists, Mark, Node, Not, Or, Range, Term, Wildcard, Words
from tests.unit.query.trees import NOW, texts, trees

#: All that a statement may be made of, beside the names of columns.
WORDS = {
    "%s", "(", ")", ",", "=", "<", "<=", ">", ">=", "AND", "AS", "BETWEEN", "CAST", "CHAR_LENGTH", "COLLATE", "COLUMNS",
    "CONCAT", "COUNT", "DECIMAL", "ESCAPE", "FALSE", "FROM", "IF", "INET6_ATON", "IS", "JSON_QUOTE", "JSON_TABLE",
    "LIKE", "LOCATE", "NOT", "NULL", "OR", "PATH", "REGEXP", "REPLACE", "SELECT", "SUBSTRING_INDEX", "TEXT", "TRUE",
    "WHERE", "*", "0", "1", "3", "13", "18", "entries", "entry", "utf8mb4_bin",
    "' : '", "', '", "','", "'\",\"'", "'$'", "'$[*]'", "'%%'", "':'", "'::ffff:'", "'['", "']'", "'|'",
    "'[^0-9]'", "'[^0-9.]'", "'^[0-9]{1,10}([.][0-9]{1,3})?$'", "'^[0-9]{1,18}$'",
}  # fmt: skip
_word = re.compile(r"'[^']*'|`[^`]*`|%s|[A-Za-z_0-9]+|<=|>=|\S")


def _tree_of(table: Table) -> st.SearchStrategy[tuple[Table, Node]]:
    return st.tuples(st.just(table), trees(table))


def assert_closed(table: Table, text: str, parameters: tuple[object, ...]) -> None:
    """Assert that a statement is made of known words, and that its quotes and parentheses are closed."""
    found = _word.findall(text)
    assert set(found) - WORDS - {f"`{name}`" for name in table.fields} == set()
    depth = 0
    for word in found:
        depth += {"(": 1, ")": -1}.get(word, 0)
        assert depth >= 0
    assert depth == 0
    assert found.count("%s") == len(parameters)


@given(st.one_of(*map(_tree_of, TABLES)))
def test_a_statement_is_made_of_known_words(case: tuple[Table, Node]) -> None:
    table, tree = case
    sql = to_sql(tree, table, NOW)
    assert_closed(table, sql.text, sql.parameters)


@given(st.text(max_size=200), st.sampled_from(TABLES))
def test_no_text_makes_a_statement_of_other_words(text: str, table: Table) -> None:
    try:
        sql = to_sql(parse(text, table), table)
    except QueryError:
        return
    assert_closed(table, sql.text, sql.parameters)


def leaves(tree: Node) -> Iterator[Node]:
    match tree:
        case And(parts) | Or(parts):
            for part in parts:
                yield from leaves(part)
        case Not(part):
            yield from leaves(part)
        case _:
            yield tree


def composed(tree: Node, table: Table) -> tuple[str, tuple[object, ...]]:
    """Return what the statement of a tree has to be: those of its leaves, joined as the tree joins them."""
    match tree:
        case And(parts) | Or(parts):
            found = [composed(part, table) for part in parts]
            operator = " AND " if isinstance(tree, And) else " OR "
            return f"({operator.join(text for text, _ in found)})", sum((given for _, given in found), ())
        case Not(part):
            text, given = composed(part, table)
            return f"(NOT {text})", given
    return to_sql(tree, table, NOW)


@given(st.one_of(*map(_tree_of, TABLES)))
def test_a_statement_has_the_structure_of_its_tree(case: tuple[Table, Node]) -> None:
    table, tree = case
    assert to_sql(tree, table, NOW) == composed(tree, table)
    for leaf in leaves(tree):
        text = to_sql(leaf, table, NOW).text
        # A leaf is one operand, whatever stands beside it.
        assert text == "TRUE" or (text.startswith("(") and _closes_at_end(text)), text


def _closes_at_end(text: str) -> bool:
    depth = 0
    for place, word in enumerate(found := _word.findall(text)):
        depth += {"(": 1, ")": -1}.get(word, 0)
        if depth == 0:
            return place == len(found) - 1
    return False


@given(texts, texts, st.sampled_from(["uri", "method", "host", "upstream_addr", "cut_fields"]))
def test_the_text_does_not_depend_on_the_values(one: str, other: str, field: str) -> None:
    made: list[Any] = [
        lambda text: Term(field, text),
        lambda text: Words(text or "x"),
        lambda text: Wildcard(field, (text or "x", Mark.ANY)),
    ]
    for make in made:
        assert to_sql(make(one), ACCESS).text == to_sql(make(other), ACCESS).text


@pytest.mark.parametrize(
    ("tree", "text", "parameters"),
    [
        (All(), "TRUE", ()),
        (Exists("uri"), "(CHAR_LENGTH(`uri`) > 0)", ()),
        (Exists("request_time"), "(`request_time` IS NOT NULL)", ()),
        (Term("status", 404), "(`status` = %s)", (404,)),
        (Range("status", 500, 599, high_included=False), "(`status` >= %s AND `status` < %s)", (500, 599)),
        (Range("request_length", None, 5), "((`request_length` <= %s) IS TRUE)", (5,)),
        (Term("uri", "100%_|\\'"), "(`uri` LIKE %s COLLATE utf8mb4_bin ESCAPE '|')", ("100|%|_||\\'",)),
        (Wildcard("uri", ("a%", Mark.ANY, Mark.ONE)), "(`uri` LIKE %s COLLATE utf8mb4_bin ESCAPE '|')", ("a|%%_",)),
        (Not(Term("status", 1)), "(NOT (`status` = %s))", (1,)),
    ],
)
def test_a_tree_becomes_this_statement(tree: Node, text: str, parameters: tuple[object, ...]) -> None:
    assert to_sql(tree, ACCESS) == (text, parameters)


def test_a_text_is_looked_for_letter_by_letter() -> None:
    assert set(to_sql(Words("aB1.é"), ACCESS).parameters) == {r"[aA][bB]\x{31}\x{2e}\x{e9}"}


def test_a_relative_time_is_counted_from_the_moment_of_the_question() -> None:
    now = datetime.datetime(2026, 1, 2, 3, 4, 5, 678_900, tzinfo=datetime.UTC)
    assert to_sql(parse("ts:[now-1m TO now+1s]", ACCESS), ACCESS, now).parameters == (
        "2026-01-02 03:03:05.678",
        "2026-01-02 03:04:06.678",
    )


def test_columns_are_quoted_so_that_no_name_is_a_word_of_the_language() -> None:
    for table in TABLES:
        for name in table.fields:
            text = to_sql(Exists(name), table).text
            assert re.findall(r"\b[a-z_]+\b", text) == [name]
            assert f"`{name}`" in text
