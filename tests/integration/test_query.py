"""Both translations of a filter select the same lines: the predicate, and the condition on a real server."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence

import pymysql
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from obsctl.lines.formats.line import ABSENT, AccessLine, ErrorLine, Line
from obsctl.query.fields import ACCESS, ERROR, LEVELS, TABLES, Table
from obsctl.query.parse import MAX_DEPTH, MAX_LENGTH, parse
from obsctl.query.patterns import MAX_STARS
from obsctl.query.predicate import compile_predicate
from obsctl.query.sql import to_sql
from obsctl.query.tree import Node, Not
from obsctl.store.mysql import rows
from rig.database import MariaDB, make_schema
from tests.unit.query.trees import NOW, lines, trees, written_addresses

DATABASE = "obs_query"


class Log:
    """Lines in the database, for as long as one transaction."""

    def __init__(self, cursor: pymysql.cursors.Cursor) -> None:
        self._cursor = cursor

    def fill(self, table: Table, stored: Sequence[Line]) -> None:
        self._cursor.execute("ROLLBACK")
        self._cursor.execute("BEGIN")
        for number, line in enumerate(stored, 1):
            line.line_id = number.to_bytes(16, "big")
        before, after = rows.INSERT_ACCESS if table is ACCESS else rows.INSERT_ERROR
        if stored:
            self._cursor.execute(before + b",".join(rows.line_rows(stored)) + after)

    def selected(self, table: Table, tree: Node) -> set[int]:
        condition = to_sql(tree, table, NOW)
        self._cursor.execute(f"SELECT line_id FROM {table.name} WHERE {condition.text}", condition.parameters)
        return {int.from_bytes(line_id, "big") for (line_id,) in self._cursor.fetchall()}


@pytest.fixture(scope="module")
def log(mariadb: MariaDB) -> Iterator[Log]:
    with mariadb.root() as cursor:
        make_schema(cursor, DATABASE)
        cursor.execute(rows.SESSION)
        yield Log(cursor)
        cursor.execute("ROLLBACK")
        cursor.execute(f"DROP DATABASE {DATABASE}")


def assert_agreed(log: Log, table: Table, tree: Node, stored: Sequence[Line]) -> None:
    predicate = compile_predicate(tree, table, lambda: NOW)
    fitting = {number for number, line in enumerate(stored, 1) if predicate(line)}
    assert log.selected(table, tree) == fitting, to_sql(tree, table, NOW)
    assert log.selected(table, Not(tree)) == set(range(1, len(stored) + 1)) - fitting


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data(), st.sampled_from(TABLES))
def test_both_translations_select_the_same_lines(log: Log, data: st.DataObject, table: Table) -> None:
    stored = data.draw(st.lists(lines(table), min_size=1, max_size=4))
    log.fill(table, stored)
    for tree in data.draw(st.lists(trees(table), min_size=1, max_size=4)):
        assert_agreed(log, table, tree, stored)


@given(st.lists(written_addresses(), min_size=1, max_size=20))
def test_every_way_to_write_an_address_means_the_same_to_both(log: Log, written: list[str]) -> None:
    stored: list[Line] = [
        AccessLine("2026-03-10 12:00:00.000", address, 200, 0, log_format="json") for address in written
    ]
    log.fill(ACCESS, stored)
    for address in written:
        plain = ipaddress.ip_address(address.partition("%")[0])
        tree = parse(f'client_addr:"{plain}"', ACCESS)
        assert compile_predicate(tree, ACCESS)(stored[written.index(address)])
        assert_agreed(log, ACCESS, tree, stored)


LINES: list[Line] = [
    AccessLine(
        "2026-03-10 12:00:00.000", client, status, 10, method="GET", uri=uri, user_agent=agent, request_time=seconds,
        upstream_addr=upstreams, upstream_status=statuses, upstream_response_time=times, log_format="json",
        scheme="https" if status == 502 else "http", ssl_protocol="TLSv1.3" if status == 502 else "",
    )
    for client, status, uri, agent, seconds, upstreams, statuses, times in [
        ("10.1.2.3", 500, "/api/v1", "curl/8", 0.5, "10.0.0.1:80", "500", "0.500"),
        ("192.0.2.7", 502, "/api%2f_", "Ka\N{KELVIN SIGN}e", 0.001, "10.0.0.1:80, 10.0.0.2:80", "502, 200", "-, 0.001"),
        ("2001:DB8::7", 404, "/index.php ", "SQLMAP/1.0", ABSENT, "", "", ""),
        ("::ffff:10.9.9.9", 200, "/API\\x", "sqlmap", 1.25, "unix:/run/x : 10.0.0.3:80", "- : 200", "- : 1.250"),
        ("unix:", 599, "", "", 0.0, "", "", ""),
        ("fe80::1%eth0", 499, "/a|b'\"\n", "中文 UA", 30.0, "a,b", "504,504", "30.000,0.1"),
    ]
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*", {1, 2, 3, 4, 5, 6}),
        (r"status:[500 TO 599] AND uri:\/api* AND NOT client_addr:10.0.0.0\/8", {2}),
        ("status:{500 TO 599}", {2}),
        ("scheme:https AND ssl_protocol:TLSv1.3", {2}),
        ("NOT ssl_protocol:*", {1, 3, 4, 5, 6}),
        ("client_addr:10.0.0.0/8", {1, 4}),
        ("client_addr:2001:db8::/32", {3}),
        ("client_addr:fe80::1", {6}),
        ('client_addr:"unix:"', {5}),
        ("client_addr:[10.0.0.0 TO 10.5.0.0]", {1}),
        ("request_time:<1", {1, 2, 5}),
        ("NOT request_time:<1", {3, 4, 6}),
        ("NOT request_time:>=1", {1, 2, 3, 5}),
        ("NOT request_time:*", {3}),
        ("request_time:0.001", {2}),
        ('uri:"/index.php"', set()),
        ('uri:"/index.php "', {3}),
        (r"uri:\/api\\x OR uri:\/API\\x", {4}),
        ("uri:*%2f_", {2}),
        ("uri:*_*", {2}),
        ("uri:*|*", {6}),
        ("uri:/???/v?", {1}),
        ("NOT uri:*", {5}),
        ("sqlmap", {3, 4}),
        ("kake", set()),
        ("ka\N{KELVIN SIGN}E", {2}),
        ("中文", {6}),
        ("upstream_addr:10.0.0.2:80", {2}),
        ("upstream_addr:10.*:80", {1, 2, 4}),
        ('upstream_addr:""', {3, 5}),
        ("upstream_addr:b", {6}),
        ("upstream_status:[500 TO 599]", {1, 2, 6}),
        ("upstream_status:200", {2, 4}),
        ("upstream_response_time:>=1.25", {4, 6}),
        ("NOT upstream_status:*", {3, 5}),
    ],
)
def test_a_filter_selects(log: Log, text: str, expected: set[int]) -> None:
    log.fill(ACCESS, LINES)
    tree = parse(text, ACCESS)
    assert log.selected(ACCESS, tree) == expected
    assert_agreed(log, ACCESS, tree, LINES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("level:>=error", {"error", "crit", "alert", "emerg"}),
        ("level:{info TO crit}", {"notice", "warn", "error"}),
        ("level:Warn", {"warn"}),
    ],
)
def test_levels_have_an_order(log: Log, text: str, expected: set[str]) -> None:
    stored: list[Line] = [
        ErrorLine("2026-03-10 12:00:00.000", level, 1, 1, "m", log_format="error") for level in LEVELS
    ]
    log.fill(ERROR, stored)
    tree = parse(text, ERROR)
    assert {LEVELS[number - 1] for number in log.selected(ERROR, tree)} == expected
    assert_agreed(log, ERROR, tree, stored)


@pytest.mark.parametrize(
    "text",
    [
        " OR ".join(["status:1"] * (MAX_LENGTH // 12)),
        "".join(["NOT (status:1 OR "] * (MAX_DEPTH // 2)) + "a" + ")" * (MAX_DEPTH // 2),
        "uri:" + "*a" * (MAX_STARS - 1) + "*",
        "uri:" + "?" * (MAX_LENGTH - 10),
        '"' + "a" * (MAX_LENGTH - 10) + '"',
    ],
    ids=["many conditions", "deep", "many stars", "many marks", "a long word"],
)
def test_the_largest_filters_are_answered(log: Log, text: str) -> None:
    stored: list[Line] = [AccessLine("2026-03-10 12:00:00.000", "10.0.0.1", 1, 0, uri="a" * 16_000, log_format="json")]
    log.fill(ACCESS, stored)
    assert_agreed(log, ACCESS, parse(text, ACCESS), stored)
