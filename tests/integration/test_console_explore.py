"""Beside a search, over a real database: its histogram, its SQL, and the values that a field may have."""

from __future__ import annotations

import datetime
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from obsctl.lines.formats.line import AccessLine, ErrorLine
from obsctl.query import values
from obsctl.query.fields import ACCESS
from obsctl.query.parse import parse
from obsctl.query.predicate import compile_predicate
from rig.console import DATABASE, Console, console, csrf, make_database, statements, store_lines
from rig.database import MariaDB
from rig.waiting import wait_for

NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)


def _at(seconds: int) -> str:
    return values.stored(NOW - datetime.timedelta(seconds=seconds))


LINES = [
    AccessLine(
        _at(number * number // 100), f"10.0.0.{number % 3}", 500 if number % 10 == 0 else 200, number, method="GET",
        uri=f"/item/{number % 40}?q=%_'\"", vhost=f"shop{number % 4}.example", log_format="json",
        host=f"node{number % 2 + 1}",
        upstream_addr="10.0.1.1:80, 10.0.1.2:80" if number % 5 == 0 else "10.0.1.1:80",
        line_id=number.to_bytes(16, "big"),
    )
    for number in range(3000)
]  # fmt: skip
ERRORS = [
    ErrorLine(_at(60 * number), "error", 1, 1, "refused", log_format="error", line_id=number.to_bytes(16, "big"))
    for number in range(50)
]


@pytest.fixture(scope="module")
def page(mariadb: MariaDB, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    make_database(mariadb)
    store_lines(mariadb, LINES, ERRORS)
    with console(mariadb, tmp_path_factory.mktemp("console")) as running:
        yield running
    with mariadb.root() as cursor:
        cursor.execute(f"DROP DATABASE {DATABASE}")


@pytest.fixture(scope="module")
def get(page: Console) -> Callable[..., Any]:
    browser = page.logged_in()
    return lambda path, **parameters: browser.get(f"{page.url}/v1/{path}", params=parameters, timeout=30)


def _counted(answer: Any) -> tuple[dict[int, int], int]:
    assert answer.status_code == 200, answer.text
    *parts, end = map(json.loads, answer.text.splitlines())
    assert end == {"kind": "end", "whole": True}
    found: Counter[int] = Counter()
    for part in parts:
        found.update(dict(zip(part["at"], part["lines"], strict=True)))
    (step_s,) = {part["step_s"] for part in parts}
    return dict(found), step_s


def _seconds(line: AccessLine | ErrorLine) -> int:
    return round(datetime.datetime.fromisoformat(f"{line.ts}+00:00").timestamp())


@pytest.mark.parametrize("text", ["", "status:500", "host:node1 AND NOT uri:*7*", "uri:nowhere"])
@pytest.mark.parametrize("since_s", [50, 5000, 20_000, 86_400])
def test_a_histogram_is_what_a_recount_of_the_lines_gives(get: Callable[..., Any], text: str, since_s: int) -> None:
    begin = NOW - datetime.timedelta(seconds=since_s)
    answer = get("histogram", filter=text, since=begin.isoformat(), until=NOW.isoformat())
    found, step_s = _counted(answer)
    if text == "" and step_s % 60 == 0:  # whole minutes
        low = begin.timestamp() // 60 * 60
        high = -(-NOW.timestamp() // 60) * 60
    else:
        low, high = begin.timestamp(), NOW.timestamp()
    fits = compile_predicate(parse(text or "*", ACCESS), ACCESS)
    expected = Counter(
        _seconds(line) // step_s * step_s for line in LINES if low <= _seconds(line) < high and fits(line)
    )
    assert found == dict(expected)
    assert (NOW - begin).total_seconds() / step_s <= 120


def test_a_histogram_of_error_lines_counts_lines(get: Callable[..., Any]) -> None:
    found, _ = _counted(get("histogram", log="error", since="24h"))
    assert sum(found.values()) == len(ERRORS)


def test_who_leaves_a_histogram_ends_its_statement(page: Console) -> None:
    browser = page.logged_in()

    def running() -> int:
        return statements(page.server, "%TIMESTAMPDIFF%")

    with page.rows() as cursor:
        # What a histogram asks for waits for this lock.
        cursor.execute("LOCK TABLES access_log WRITE")
        answer = browser.get(f"{page.url}/v1/histogram?filter=status:500", timeout=(5, 30), stream=True)
        wait_for("it waits", lambda: running() == 1, seconds=5)
        answer.close()
        wait_for("its statement ends", lambda: running() == 0, seconds=8)
        cursor.execute("UNLOCK TABLES")


@pytest.mark.parametrize(
    ("field", "prefix", "expected"),
    [
        ("method", "p", ["PATCH", "POST", "PUT"]),
        ("status", "50", [str(status) for status in range(500, 509)]),
        ("upstream_status", "49", ["494", "495", "496", "497", "499"]),
        ("bytes", "1", []),
        ("ts", "", []),
        ("host", "", ["node1", "node2"]),
        ("host", "node2", ["node2"]),
        ("vhost", "shop3", ["shop3.example"]),
        ("client_addr", "10.0.0.", ["10.0.0.0", "10.0.0.1", "10.0.0.2"]),
        ("upstream_addr", "10.0.1.2", ['"10.0.1.2:80"']),
        ("uri", "/item/7?q=%_", ['"/item/7?q=%_\'\\""']),
        ("uri", "/item/%", []),
        ("uri", "' OR '1'='1", []),
        ("remote_user", "", []),
    ],
)
def test_values_of_a_field_are_those_of_its_newest_lines(
    get: Callable[..., Any], field: str, prefix: str, expected: list[str]
) -> None:
    found = [one["text"] for one in get("values", field=field, prefix=prefix).json()]
    assert (sorted(found) if field not in ("status", "upstream_status") else found) == expected
    for text in found:
        condition = f"{field}:{text}"
        parse(condition, ACCESS)
        if field not in ("method", "status", "upstream_status"):
            assert get("search", filter=condition).text.count('"ts":') > 0


def test_values_are_at_most_twenty_and_the_most_frequent_first(get: Callable[..., Any]) -> None:
    found = get("values", field="uri").json()
    assert len(found) == 20
    assert [one["lines"] for one in found] == sorted((one["lines"] for one in found), reverse=True)
    assert [one["text"] for one in get("values", log="error", field="level", prefix="e").json()] == ["error", "emerg"]


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("values", {"field": "password_hash"}),
        ("values", {"field": "`; DROP TABLE access_log"}),
        ("values", {"field": "level"}),
        ("values", {"field": "uri", "prefix": "x" * 201}),
        ("values", {"field": "uri", "table": "console_user"}),
        ("histogram", {"filter": "statsu:500"}),
        ("histogram", {"step": "1"}),
        ("statement", {"filter": "statsu:500"}),
        ("statement", {"since": "yesterday"}),
    ],
)
def test_what_cannot_be_asked_is_named(get: Callable[..., Any], path: str, parameters: dict[str, str]) -> None:
    answer = get(path, **parameters)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")


def test_the_statement_of_a_search_finds_its_lines_and_holds_no_value(page: Console, get: Callable[..., Any]) -> None:
    asked = {"filter": 'uri:"/item/7?q=%_\'\\""', "since": "48h"}
    sql = get("statement", **asked).json()
    assert "item" not in sql["text"]
    assert sql["text"].count("?") == len(sql["parameters"])
    with page.rows() as cursor:
        cursor.execute(re.sub(r"\?", "%s", sql["text"].replace("%", "%%")), sql["parameters"])
        lines = len(cursor.fetchall())
    assert lines == get("search", **asked).text.count('"ts":') == 75


def test_a_saved_search_keeps_its_columns(page: Console) -> None:
    browser = page.logged_in()
    mine = {"x-csrf-token": csrf(browser.get(f"{page.url}/account", timeout=10).text)}
    url = f"{page.url}/v1/queries/mine"
    state = {"log": "access", "filter": "status:500", "since": "6h", "columns": "ts,uri"}
    assert browser.put(url, json=state, headers=mine, timeout=10).status_code == 204
    (kept,) = browser.get(f"{page.url}/v1/queries", timeout=10).json()
    assert kept["columns"] == "ts,uri"
    assert browser.put(url, json={**state, "columns": "<b>"}, headers=mine, timeout=10).status_code == 422


def test_the_newest_lines_are_read_without_sorting(page: Console) -> None:
    with page.rows() as cursor:
        cursor.execute("EXPLAIN SELECT host FROM access_log WHERE ts >= %s ORDER BY ts DESC LIMIT 50000", (_at(3600),))
        assert "filesort" not in str(cursor.fetchall())
