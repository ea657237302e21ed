"""What a filter's text means, and what is said about one that cannot be read."""

from __future__ import annotations

import datetime
import ipaddress
import random
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from obsctl.core.errors import ConfigError
from obsctl.query.errors import QueryError
from obsctl.query.fields import ACCESS, ERROR, TABLES, Table
from obsctl.query.parse import MAX_DEPTH, MAX_LENGTH, parse
from obsctl.query.patterns import MAX_STARS
from obsctl.query.predicate import compile_predicate
from obsctl.query.sql import to_sql
from obsctl.query.text import to_text
from obsctl.query.tree import (
    All,
    And,
    Exists,
    InNetwork,
    Mark,
    Node,
    Not,
    Or,
    Range,
    Relative,
    Term,
    Wildcard,
    Words,
)
from tests.unit.query.trees import trees

A, B, C = Words("a"), Words("b"), Words("c")
IP = ipaddress.ip_address
FE80 = Term("client_addr", IP("fe80::1"))
S404, S410 = Term("status", 404), Term("status", 410)
UTC = datetime.UTC
HALF_PAST = datetime.datetime(2026, 1, 31, 0, 0, 0, 500_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        # operators
        ("a b", And((A, B))),
        ("a AND b", And((A, B))),
        ("a && b", And((A, B))),
        ("a&&b", And((A, B))),
        ("a OR b", Or((A, B))),
        ("a || b", Or((A, B))),
        ("a||b", Or((A, B))),
        ("NOT a", Not(A)),
        ("!a", Not(A)),
        ("-a", Not(A)),
        ("+a", A),
        ("+a -b !c", And((A, Not(B), Not(C)))),
        ("NOT NOT a", Not(Not(A))),
        ("a OR b AND c", Or((A, And((B, C))))),
        ("a AND b OR c", Or((And((A, B)), C))),
        ("a b OR c", Or((And((A, B)), C))),
        ("NOT a b", And((Not(A), B))),
        ("(a OR b) c", And((Or((A, B)), C))),
        ("(a AND b) AND c", And((A, B, C))),
        ("NOT(a)AND(b)", And((Not(A), B))),
        (" \t\n\N{IDEOGRAPHIC SPACE}a\n", A),
        ("ANDROID", Words("ANDROID")),
        ("status:404method", QueryError),
        # words
        ("*", All()),
        ("*:*", All()),
        ('"a b"', Words("a b")),
        ("*a*", A),
        (r"a\ b\*", Words("a b*")),
        ('"AND"', Words("AND")),
        ("12\\:30", Words("12:30")),
        ("a&b=c", Words("a&b=c")),
        ("中文", Words("中文")),
        # texts
        ("method:GET", Term("method", "GET")),
        ("method: GET", Term("method", "GET")),
        ("method :GET", Term("method", "GET")),
        ("method:(GET OR NOT POST)", Or((Term("method", "GET"), Not(Term("method", "POST"))))),
        ("method:(GET)", Term("method", "GET")),
        ('uri:"/a b"', Term("uri", "/a b")),
        (r'uri:"a\"b\\"', Term("uri", 'a"b\\')),
        ('uri:"*"', Term("uri", "*")),
        (r"uri:\*", Term("uri", "*")),
        ('uri:""', Term("uri", "")),
        (r"uri:\/api*", Wildcard("uri", ("/api", Mark.ANY))),
        ("uri:/api*", Wildcard("uri", ("/api", Mark.ANY))),
        ("uri:/a/b/c", Term("uri", "/a/b/c")),
        (r"uri:\/a\/", Term("uri", "/a/")),
        ("uri:**a**?", Wildcard("uri", (Mark.ANY, "a", Mark.ANY, Mark.ONE))),
        ("uri:/x?a=b&c:d", Wildcard("uri", ("/x", Mark.ONE, "a=b&c:d"))),
        ("uri:*", Exists("uri")),
        ("_exists_:uri", Exists("uri")),
        ('_exists_:"uri"', Exists("uri")),
        # numbers
        ("status:404", S404),
        ('status:"404"', S404),
        ("status:(404 410)", And((S404, S410))),
        ("status:(404 OR 410)", Or((S404, S410))),
        ("status:>=500", Range("status", 500, None)),
        ("status:> 500", Range("status", 500, None, low_included=False)),
        ("status:<500", Range("status", None, 500, high_included=False)),
        ("status:(>=500 AND <=599)", And((Range("status", 500, None), Range("status", None, 599)))),
        ("status:[500 TO 599]", Range("status", 500, 599)),
        ("status:{500 TO 599]", Range("status", 500, 599, low_included=False)),
        ("status:[500 TO 599}", Range("status", 500, 599, high_included=False)),
        ("status:{* TO 5}", Range("status", None, 5, high_included=False)),
        ("status:[* TO *]", Exists("status")),
        ("bytes:-1", Term("bytes", -1)),
        ("bytes:>-1", Range("bytes", -1, None, low_included=False)),
        ("bytes:[-5 TO +3]", QueryError),
        ("request_time:>0.5", Range("request_time", Decimal("0.5"), None, low_included=False)),
        ("request_time:1.250000", Term("request_time", Decimal("1.25"))),
        ("upstream_status:502", Term("upstream_status", 502)),
        # addresses
        ("client_addr:10.0.0.1", Term("client_addr", IP("10.0.0.1"))),
        (r"client_addr:10.0.0.0\/8", InNetwork("client_addr", ipaddress.ip_network("10.0.0.0/8"))),
        ("client_addr:10.1.2.3/8", InNetwork("client_addr", ipaddress.ip_network("10.0.0.0/8"))),
        ("client_addr:2001:db8::/32", InNetwork("client_addr", ipaddress.ip_network("2001:db8::/32"))),
        ("client_addr:(fe80::1 OR ::1)", Or((FE80, Term("client_addr", IP("::1"))))),
        (r"client_addr:fe80\:\:1", FE80),
        ("client_addr:localhost", Term("client_addr", "localhost")),
        ('client_addr:"unix:"', Term("client_addr", "unix:")),
        ("client_addr:[10.0.0.1 TO 10.0.0.9]", Range("client_addr", IP("10.0.0.1"), IP("10.0.0.9"))),
        # times
        ("ts:>=now-5m", Range("ts", Relative(-5, "m"), None)),
        ("ts:[now-1d TO now]", Range("ts", Relative(-1, "d"), Relative(0, "s"))),
        ("ts:2026-01-31T08:00Z", Term("ts", datetime.datetime(2026, 1, 31, 8, tzinfo=UTC))),
        ("ts:<2026-01-31T08:00:00.5+08:00", Range("ts", None, HALF_PAST, high_included=False)),
    ],
)  # fmt: skip
def test_a_filter_is_read(text: str, tree: Node | type[QueryError]) -> None:
    if tree is QueryError:
        with pytest.raises(QueryError):
            parse(text, ACCESS)
    else:
        assert parse(text, ACCESS) == tree


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("level:ERROR", Term("level", "error")),
        ("level:>=warn", Range("level", "warn", None)),
        ("level:[notice TO crit}", Range("level", "notice", "crit", high_included=False)),
        ("pid:7", Term("pid", 7)),
        ('message:"upstream timed out*"', Term("message", "upstream timed out*")),
    ],
)
def test_a_filter_of_error_lines_is_read(text: str, tree: Node) -> None:
    assert parse(text, ERROR) == tree


@pytest.mark.parametrize(
    ("text", "column", "token", "problem", "hint"),
    [
        # fields
        ("statsu:5", 1, "statsu", "no field statsu", "did you mean status?"),
        ("a AND user-agent:curl", 7, "user-agent", "no field user-agent", "user_agent"),
        ("remote_addr:10.0.0.1", 1, "remote_addr", "no field remote_addr", "here it is called client_addr"),
        ("@timestamp:now", 1, "@timestamp", "no field @timestamp", "here it is called ts"),
        ("message:x", 1, "message", "no field message", "message is a field of the error log"),
        ("kafka_offset:7", 1, "kafka_offset", "no field kafka_offset", "ts, client_addr"),
        ("http://x", 1, "http", "no field http", "in quotes"),
        ("_exists_:foo", 10, "foo", "no field foo", "ts, client_addr"),
        (":x", 1, ":x", "no field name", "status:404"),
        # types
        ("status:abc", 8, "abc", "status is a whole number, which 'abc' is not", "status:404 or status:[500 TO 599]"),
        ("status:1.5", 8, "1.5", "whole number", "status:404"),
        ("status:٤٠٤", 8, "٤٠٤", "whole number", "status:404"),
        ("status:9999999999999999999", 8, "9999999999999999999", "whole number", "status:404"),
        ("status:5*", 8, "5*", "wildcards are for texts", "[500 TO 599]"),
        ("status:[5* TO 6]", 9, "5*", "no wildcards", "[500 TO 599]"),
        ("status:[1 TO x]", 14, "x", "whole number", "[500 TO 599]"),
        ("status:(404 OR x)", 16, "x", "whole number", "[500 TO 599]"),
        ("status:[5 TO 1]", 9, "5 TO 1", "ends before it begins", "swap"),
        ("status:>*", 9, "*", "a comparison needs a value", "status:*"),
        ("request_time:500ms", 14, "500ms", "number of seconds", "request_time:>=0.5"),
        ("request_time:0.0005", 14, "0.0005", "at most 3 decimals", "request_time:>=0.5"),
        ("client_addr:10.0.0.300", 13, "10.0.0.300", "an address", "10.0.0.0"),
        ("client_addr:10.0.0.0/33", 13, "10.0.0.0/33", "an address", "10.0.0.0"),
        ("client_addr:10.0.0.1:80", 13, "10.0.0.1:80", "no port", "client_addr:10.0.0.1"),
        ("client_addr:10.*", 13, "10.*", "wildcards are for texts", r"client_addr:10.0.0.0\/8"),
        ("client_addr:fe80::1%eth0", 13, "fe80::1%eth0", "without its zone", "write"),
        ("client_addr:fe80::%eth0/64", 13, "fe80::%eth0/64", "without its zone", "write"),
        ("client_addr:>localhost", 14, "localhost", "the ends of a client_addr range must be addresses", "write"),
        ("client_addr:[10.0.0.9 TO 10.0.0.1]", 14, "10.0.0.9 TO 10.0.0.1", "ends before it begins", "swap"),
        ("ts:[now TO now-1m]", 5, "now TO now-1m", "ends before it begins", "swap"),
        ("_exists_:[uri TO x]", 1, "_exists_", "no field _exists_", "ts, client_addr"),
        ("ts:2026-01-01", 4, "2026-01-01", "not a time with its zone", "2026-01-01T08:00:00Z"),
        ("ts:2026-01-01T00:00:00", 4, "2026-01-01T00:00:00", "not a time with its zone", "+08:00"),
        ("ts:2026-02-30T00:00:00Z", 4, "2026-02-30T00:00:00Z", "there is no time", "ts:"),
        ("ts:0001-01-01T00:00:00+08:00", 4, "0001-01-01T00:00:00+08:00", "there is no time", "ts:"),
        ("ts:1066-01-01T00:00:00Z", 4, "1066-01-01T00:00:00Z", "before 1970", "ts:"),
        ("ts:now-5x", 4, "now-5x", "is a time", "now-15m"),
        ("ts:now-9999999w", 4, "now-9999999w", "a hundred years", "now-15m"),
        ("ts:now/d", 4, "now/d", "is a time", "now-15m"),
        ("uri:[a TO b]", 6, "a", "uri is a text", "uri:*.php"),
        ("uri:>a", 6, "a", "uri is a text", "uri:*.php"),
        ("uri:" + "*a" * MAX_STARS + "*", 5, "*a" * MAX_STARS + "*", f"more than {MAX_STARS} times *", ""),
        # syntax
        ("", 1, "", "empty", "*"),
        (" \n", 1, "", "empty", "*"),
        ("a^2", 2, "^2", "no weights", "omit"),
        ('"a b"^2', 6, "^2", "no weights", "omit"),
        ("a~", 2, "~", "no fuzzy search", "wildcards"),
        ('"a b"~3', 6, "~3", "no fuzzy search", "wildcards"),
        ("uri:/a.*b/", 5, "/a.*b/", "no regular expressions", "in quotes"),
        ("/a (b|c)/", 1, "/a (b|c)/", "no regular expressions", "wildcards"),
        ('uri:"abc', 5, '"', "quotes are not closed", '"'),
        ("abc\\", 4, "\\", "no character after the backslash", "\\\\"),
        ("(a", 3, "", "closing parenthesis", ")"),
        ("status:(404", 12, "", "closing parenthesis", ")"),
        ("a)", 2, ")", "parenthesis", r"\)"),
        ("()", 2, ")", "parenthesis", r"\)"),
        ("a AND", 6, "", "ends where a condition", "status:404"),
        ("NOT", 4, "", "ends where a condition", "status:404"),
        ("status:", 8, "", "ends where a condition", "status:404"),
        ("AND a", 1, "AND", "AND is not allowed here", "between two conditions"),
        ("a AND OR b", 7, "OR", "OR is not allowed here", "between two conditions"),
        ("a && || b", 6, "||", "|| is not allowed here", "between two conditions"),
        ("uri: AND a", 6, "AND", "the value of uri is missing", 'uri:"AND"'),
        ("a and b", 3, "and", "capital letters", 'write AND; for the literal word "and"'),
        ("a or b", 3, "or", "capital letters", "write OR"),
        ("status:(404 or 410)", 13, "or", "capital letters", "write OR"),
        ("not a", 1, "not", "capital letters", "write NOT"),
        ("status=500", 1, "status=500", "the field status", "status:404"),
        ("status>500", 7, ">", "a comparison follows", "status:>=500"),
        ("method:!GET", 8, "!", "! cannot follow the colon", "NOT method:GET"),
        ("method:=GET", 8, "=GET", "with a colon, without =", "status:404"),
        ("status = 500", 8, "=", "with a colon, without =", "status:404"),
        ("status:(404 OR =410)", 16, "=410", "with a colon, without =", "status:404"),
        ("[1 TO 2]", 1, "[", "a range follows a field", "status:[500 TO 599]"),
        ("status:[1 TO", 13, "", "this range is incomplete", "status:[500 TO 599]"),
        ("status:[1 2]", 11, "2", "this range is incomplete", "status:[500 TO 599]"),
        ("status:[1 TO 2", 15, "", "this range is incomplete", "status:[500 TO 599]"),
        ("what?now", 1, "what?now", "wildcards inside of a word", "uri:*admin*"),
        ('a ""', 3, '""', "an empty text", "leave it out"),
        ("a\ud800", 2, "\ud800", "not valid UTF-8", ""),
    ],
)  # fmt: skip
def test_an_error_names_the_place_the_fault_and_the_remedy(
    text: str, column: int, token: str, problem: str, hint: str
) -> None:
    with pytest.raises(QueryError) as caught:
        parse(text, ACCESS)
    error = caught.value
    assert isinstance(error, ConfigError)
    assert problem in error.problem
    assert (error.column, error.token) == (column, token), error
    assert hint in error.hint
    assert error.text[error.column - 1 :].startswith(error.token)


@pytest.mark.parametrize(
    "suggested",
    [
        error_hint
        for table in TABLES
        for field in table.fields.values()
        for error_hint in field.example.replace(" or ", ", ").split(", ")
    ],
)
def test_what_an_error_suggests_can_be_read(suggested: str) -> None:
    table = ACCESS if suggested.partition(":")[0] in ACCESS.fields else ERROR
    parse(suggested, table)


def test_an_unknown_level_is_answered_with_all_levels() -> None:
    with pytest.raises(QueryError) as caught:
        parse("level:warning", ERROR)
    assert caught.value.hint.startswith("did you mean warn? The levels are debug, info, notice, warn, ")


def test_the_carets_stand_below_the_token() -> None:
    with pytest.raises(QueryError) as caught:
        parse("method:GET AND status:abc", ACCESS)
    assert str(caught.value).splitlines() == [
        "filter, column 23: status is a whole number, which 'abc' is not",
        "  method:GET AND status:abc",
        "  " + " " * 22 + "^^^",
    ]


@pytest.mark.parametrize(
    ("before", "cells"), [("中文 ", 5), ("e\N{COMBINING ACUTE ACCENT} ", 2), ("a\n\x1b[31m" + "\\ ", None)]
)
def test_the_carets_stand_right_behind_wide_and_invisible_characters(before: str, cells: int | None) -> None:
    with pytest.raises(QueryError) as caught:
        parse(f"{before}status:abc", ACCESS)
    filter_line, carets = caught.value.pointer.splitlines()
    assert filter_line.isprintable()
    if cells is not None:
        assert carets.index("^") == 2 + cells + len("status:")


@pytest.mark.parametrize("text", ["\x1b]0;x\x07:1", "a\x1b\x07:", "/\x1b[2J/", "status:\x1b[2J", "a AND \x1b\x07:x OR"])
def test_a_message_holds_nothing_that_a_terminal_obeys(text: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse(text, ACCESS)
    for part in (*str(caught.value).splitlines(), caught.value.hint):
        assert part.isprintable()


def test_of_a_long_filter_the_place_is_shown() -> None:
    text = "a OR " * 1000 + "status:abc" + " OR a" * 100
    with pytest.raises(QueryError) as caught:
        parse(text, ACCESS)
    filter_line, carets = caught.value.pointer.splitlines()
    assert len(filter_line) < 200
    at = carets.index("^")
    assert filter_line[at : at + 3] == "abc"


@pytest.mark.parametrize(
    "text",
    [
        "(" * 10_000 + "a" + ")" * 10_000,
        "(" * 10_000,
        "a " * MAX_LENGTH,
        "NOT " * (MAX_DEPTH + 1) + "a",
        "!" * 5000 + "a",
        "".join(["(a OR (b "] * 500) + "c" + "))" * 500,
        "status:" + "(1 OR (2 " * 500 + "3" + "))" * 500,
    ],
    ids=["10,000 pairs", "10,000 open", "long", "NOT", "!", "in turn", "of a field"],
)
def test_a_filter_too_long_or_too_deep_is_an_error(text: str) -> None:
    with pytest.raises(QueryError, match=r"at most .* are allowed|are nested"):
        parse(text, ACCESS)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 4000 + "a" + ")" * 4000,
        "NOT " * MAX_DEPTH + "a",
        " OR ".join(["status:1"] * (MAX_LENGTH // 12)),
        "NOT(a (b OR " * (MAX_DEPTH // 4) + "c" + "))" * (MAX_DEPTH // 4),
    ],
)
def test_the_largest_filters_are_translated(text: str) -> None:
    tree = parse(text, ACCESS)
    assert parse(to_text(tree), ACCESS) == tree
    compile_predicate(tree, ACCESS)
    to_sql(tree, ACCESS)


_SYNTAX = st.one_of(
    st.sampled_from([
        "AND", "OR", "NOT", "TO", "&&", "||", "!", "+", "-", "(", ")", "[", "]", "{", "}", '"', "\\", "^", "~", "*",
        "?", ":", "/", " ", ">=", "<", "=", "status", "status:", "uri:", "client_addr:", "ts:", "now-5m", "500", "::1",
        "10.0.0.0/8", "request_time:", "upstream_status:", "_exists_:", "2026-01-01T00:00:00Z", "'", "%s", "%", "--",
        ";", "\n", "\0",
    ]),
    st.text(max_size=3),
)  # fmt: skip


def read(text: str, table: Table) -> Node | QueryError:
    """Return what a text is: a tree, or the one error that there may be."""
    try:
        return parse(text, table)
    except QueryError as error:
        return error


@given(st.one_of(st.text(), st.lists(_SYNTAX, max_size=20).map("".join), st.lists(_SYNTAX, max_size=20).map(" ".join)))
@example("\x1c")
@example("client_addr:1/")
@example("status:(")
@example("ts:[now TO now]")
def test_any_text_is_a_filter_or_one_error(text: str) -> None:
    for table in TABLES:
        tree = read(text, table)
        if isinstance(tree, QueryError):
            assert tree.problem
            assert 1 <= tree.column <= len(text) + 1
        else:
            assert parse(to_text(tree), table) == tree
            compile_predicate(tree, table)
            to_sql(tree, table)


def _tree_and_text(table: Table) -> st.SearchStrategy[str]:
    return trees(table).map(to_text)


@given(_tree_and_text(ACCESS), st.randoms(use_true_random=False), _SYNTAX)
def test_a_filter_with_a_damage_is_a_filter_or_one_error(text: str, chance: random.Random, piece: str) -> None:
    at = chance.randrange(len(text) + 1)
    tree = read(text[:at] + piece + text[at + chance.randrange(3) :], ACCESS)
    assert isinstance(tree, QueryError) or parse(to_text(tree), ACCESS) == tree
