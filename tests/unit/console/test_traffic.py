"""Series and tables of the minute roll-ups: steps, days of a time zone, percentiles of a histogram."""

from __future__ import annotations

import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from obsctl.console import traffic
from obsctl.console.traffic import Asked, percentile
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
