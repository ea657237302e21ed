"""Series and tables of the roll-ups: which are read, steps, days of a time zone, percentiles of a histogram."""

from __future__ import annotations

import datetime
import re
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from obsctl.console import traffic
from obsctl.console.traffic import Asked, percentile
from obsctl.query.sql import Sql
from obsctl.store.rollup import LATENCY_BOUNDS_MS

BEGIN = datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC)
HOUR = datetime.timedelta(hours=1)


def asked(span: datetime.timedelta, begin: datetime.datetime = BEGIN, zone: str = "UTC", **other: str) -> Asked:
    return Asked(begin, begin + span, other.get("host", ""), other.get("route", ""), ZoneInfo(zone))


def sums(requests: int, size: int = 0, **latency: int) -> list[Any]:
    names = [*(f"lat_{bound}" for bound in LATENCY_BOUNDS_MS), "lat_more"]
    return [requests, size, *(latency.get(name, 0) for name in names)]


@pytest.mark.parametrize(
    ("span", "step_s"),
    [
        (HOUR, 60), (5 * HOUR, 60), (6 * HOUR, 300), (24 * HOUR, 300), (48 * HOUR, 900), (7 * 24 * HOUR, 3600),
        (30 * 24 * HOUR, 21_600), (300 * 24 * HOUR, 86_400), (400 * 24 * HOUR, 86_400),
    ],
)  # fmt: skip
def test_a_series_has_some_hundred_points_at_most(span: datetime.timedelta, step_s: int) -> None:
    assert asked(span).step_s == step_s


def test_each_point_is_there_and_one_without_requests_is_empty() -> None:
    at = int(BEGIN.timestamp())
    rows = [(at, 2, *sums(50, 5000, lat_10=50)), (at, 5, *sums(2)), (at + 120, 2, *sums(1))]
    drawn = traffic.series(asked(datetime.timedelta(minutes=4)), rows)
    assert drawn["at"] == [at, at + 60, at + 120, at + 180]
    assert drawn["status"]["2"] == [50, 0, 1, 0]
    assert drawn["status"]["5"] == [2, 0, 0, 0]
    assert drawn["bytes"] == [5000, 0, 0, 0]
    assert drawn["p50"] == [0.0075, None, None, None]
    assert {len(column) for column in (*drawn["status"].values(), drawn["bytes"], drawn["p99"])} == {4}


def test_a_status_that_http_does_not_know_is_a_column_of_its_own() -> None:
    drawn = traffic.series(asked(datetime.timedelta(minutes=1)), [(int(BEGIN.timestamp()), 0, *sums(3))])
    assert drawn["status"]["0"] == [3]


def test_days_begin_at_the_sites_own_midnight_also_when_its_clocks_change() -> None:
    # On 29 March 2026 a day in Berlin has 23 hours.
    zone = ZoneInfo("Europe/Berlin")
    begin = datetime.datetime(2026, 1, 1, tzinfo=zone).astimezone(datetime.UTC)
    wanted = asked(datetime.timedelta(days=120), begin, "Europe/Berlin")
    assert wanted.step_s == 86_400
    rows = [(int(begin.timestamp()) + part * 900, 2, *sums(1)) for part in range(120 * 96)]
    drawn = traffic.series(wanted, rows)
    local = [datetime.datetime.fromtimestamp(at, zone) for at in drawn["at"]]
    assert {(at.hour, at.minute) for at in local} == {(0, 0)}
    by_day = dict(zip((f"{at:%m-%d}" for at in local), drawn["status"]["2"], strict=True))
    assert (by_day["03-28"], by_day["03-29"], by_day["03-30"]) == (96, 92, 96)
    assert sum(by_day.values()) == 120 * 96


def test_six_hours_begin_at_the_sites_own_hours() -> None:
    zone = ZoneInfo("Asia/Kathmandu")  # 5:45 ahead of UTC
    drawn = traffic.series(asked(30 * 24 * HOUR, zone="Asia/Kathmandu"), [])
    hours = {(at.hour, at.minute) for at in (datetime.datetime.fromtimestamp(at, zone) for at in drawn["at"])}
    assert hours == {(0, 0), (6, 0), (12, 0), (18, 0)}


@pytest.mark.parametrize(
    ("latency", "share", "seconds"),
    [
        ({}, 0.5, None),
        ({"lat_5": 1}, 0.5, 0.005),
        ({"lat_100": 100}, 0.5, 0.075),
        ({"lat_5": 90, "lat_1000": 10}, 0.9, 0.005),
        ({"lat_5": 90, "lat_1000": 10}, 0.95, 0.75),
        ({"lat_more": 4}, 0.5, 10.0),
    ],
)
def test_a_percentile_lies_within_its_bucket(latency: dict[str, int], share: float, seconds: float | None) -> None:
    assert percentile(sums(0, **latency)[2:], share) == seconds


def test_tables_sum_up_to_the_whole() -> None:
    rows = [
        ("node1", "api", 2, *sums(60, 600, lat_10=60)), ("node1", "page", 5, *sums(20)),
        ("node2", "api", 4, *sums(30)), ("node2", "api", 2, *sums(90)),
    ]  # fmt: skip
    found = traffic.tables(rows)
    assert found["whole"]["requests"] == 200
    assert [(row["name"], row["requests"], row["share_4xx"], row["share_5xx"]) for row in found["hosts"]] == [
        ("node2", 120, 0.25, 0.0), ("node1", 80, 0.0, 0.25),
    ]  # fmt: skip
    assert [(row["name"], row["requests"]) for row in found["routes"]] == [("api", 180), ("page", 20)]
    assert traffic.tables([])["whole"]["share_5xx"] is None


def test_a_name_is_a_parameter_and_never_part_of_the_statement() -> None:
    statement = traffic.tables_of(asked(HOUR, host="x' OR '1'='1", route="api"))
    assert "x'" not in statement.text
    assert statement.parameters[2:] == ("x' OR '1'='1", "api")


def stretches(statement: Sql) -> list[tuple[str, str, str]]:
    """Return which tables the statement reads, and from when to when."""
    tables = re.findall(r"FROM (rollup_\w+)", statement.text)
    times = [str(value)[:19] for value in statement.parameters]
    return list(zip(tables, times[::2], times[1::2], strict=True))


def test_whole_hours_are_read_as_such_and_the_minutes_at_both_ends() -> None:
    begin = BEGIN + datetime.timedelta(minutes=20)
    end_of = {"begin": "2026-03-01 00:20:00", "end": "2026-03-31 00:20:00"}
    whole = [
        ("rollup_minute", end_of["begin"], "2026-03-01 01:00:00"),
        ("rollup_hour", "2026-03-01 01:00:00", "2026-03-31 00:00:00"),
        ("rollup_minute", "2026-03-31 00:00:00", end_of["end"]),
    ]
    month = asked(30 * 24 * HOUR, begin, "Europe/Berlin")
    assert stretches(traffic.tables_of(month)) == stretches(traffic.series_of(month)) == whole
    on_the_hour = asked(30 * 24 * HOUR)
    assert stretches(traffic.series_of(on_the_hour)) == [
        ("rollup_hour", "2026-03-01 00:00:00", "2026-03-31 00:00:00")
    ]  # fmt: skip


def test_points_within_an_hour_are_read_from_the_minutes() -> None:
    day = asked(24 * HOUR)
    assert stretches(traffic.series_of(day)) == [("rollup_minute", "2026-03-01 00:00:00", "2026-03-02 00:00:00")]
    assert stretches(traffic.tables_of(day)) == [("rollup_hour", "2026-03-01 00:00:00", "2026-03-02 00:00:00")]
    short = asked(HOUR, BEGIN + datetime.timedelta(minutes=1))
    assert stretches(traffic.tables_of(short)) == [("rollup_minute", "2026-03-01 00:01:00", "2026-03-01 01:01:00")]


@pytest.mark.parametrize(
    ("zone", "tables"),
    [
        ("UTC", {"rollup_hour"}),
        ("Asia/Shanghai", {"rollup_hour"}),
        ("Asia/Kolkata", {"rollup_minute"}),
        ("Asia/Kathmandu", {"rollup_minute"}),
        # Half an hour off in winter alone, which begins within the month.
        ("Australia/Lord_Howe", {"rollup_minute"}),
    ],
)
def test_days_of_a_zone_that_is_a_part_of_an_hour_off_are_read_from_the_minutes(zone: str, tables: set[str]) -> None:
    month = asked(60 * 24 * HOUR, zone=zone)
    assert {table for table, *_ in stretches(traffic.series_of(month))} == tables


def test_what_bounds_the_traffic_bounds_each_stretch() -> None:
    bounded = asked(24 * HOUR, BEGIN + datetime.timedelta(minutes=20), host="node1", route="api")
    statement = traffic.tables_of(bounded._replace(scope=Sql("source_id = %s", (7,))))
    assert statement.text.count("source_id = %s AND host = %s AND route_class = %s GROUP BY") == 3
    assert [statement.parameters[at + 2 : at + 5] for at in (0, 5, 10)] == [(7, "node1", "api")] * 3
