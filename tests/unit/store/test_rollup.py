"""Roll-ups: what a row adds to which key."""

from __future__ import annotations

import pytest

from obsctl.lines.formats.line import NUMBER_MAX, AccessLine
from obsctl.store import rollup


def row(**changes: object) -> AccessLine:
    usual = {"ts": "2026-01-02 03:04:59.999", "client_addr": "a", "status": 200, "bytes": 10}
    return AccessLine(**(usual | changes), source_id=7, host="node1")


def test_counts_by_key() -> None:
    totals = rollup.count([row(), row(bytes=5), row(status=404), row(ts="2026-01-02 03:05:00.000")])
    key = rollup.Key("2026-01-02 03:04", 7, "node1", "other", 2)
    assert (totals[key].requests, totals[key].bytes) == (2, 15)
    assert len(totals) == 3


def test_hours_are_the_sum_of_their_minutes_and_of_nothing_else() -> None:
    lines = [row(), row(request_time=0.2), row(ts="2026-01-02 03:00:00.000", request_time=0.2), row(status=404)]
    minutes = rollup.count([*lines, row(ts="2026-01-02 04:00:00.000")])
    hours = rollup.hours(minutes)
    key = rollup.Key("2026-01-02 03:00", 7, "node1", "other", 2)
    assert (hours[key].requests, hours[key].bytes, sum(hours[key].latency)) == (3, 30, 2)
    assert hours[key].latency[5] == 2
    assert sorted(hours) == [key, key._replace(status_class=4), key._replace(begin="2026-01-02 04:00")]
    assert [minutes[key._replace(begin=f"2026-01-02 03:{minute}")].requests for minute in ("00", "04")] == [1, 2]


def test_a_batch_of_damaged_lines_stays_within_its_column() -> None:
    (totals,) = rollup.count([row(bytes=NUMBER_MAX)] * 50_000).values()
    assert totals.bytes < 2**63


@pytest.mark.parametrize(
    ("seconds", "bucket"), [(0.0, 0), (0.005, 0), (0.0051, 1), (0.01, 1), (9.9, 10), (10.0, 10), (10.1, 11), (1e6, 11)]
)
def test_latency_bucket(seconds: float, bucket: int) -> None:
    (totals,) = rollup.count([row(request_time=seconds)]).values()
    assert totals.latency[bucket] == 1
    assert sum(totals.latency) == 1


def test_untimed_requests_are_in_no_bucket() -> None:
    (totals,) = rollup.count([row()]).values()
    assert (totals.requests, sum(totals.latency)) == (1, 0)


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        ("/", "root"),
        ("/?a=/b.png", "root"),
        ("/a/b.PNG?x=1", "static"),
        ("/api/users/7", "api"),
        ("/healthz", "health"),
        ("/index.php", "script"),
        ("/cgi-bin/x", "script"),
        ("/about", "page"),
        ("/v.1/about", "page"),
        ("", "other"),
        ("*", "other"),
        ("\\x16\\x03", "other"),
        ("http://example.com/", "other"),
    ],
)
def test_route_class(uri: str, kind: str) -> None:
    assert rollup.route_class(uri) == kind
    assert len(kind) <= 16
