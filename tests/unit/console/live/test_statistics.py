"""Live statistics: a sliding window over the lines as they arrive."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from obsctl.console.live.feed import Feed
from obsctl.console.live.frequent import Top
from obsctl.console.live.statistics import KEPT, WINDOW_S, Statistics
from tests.unit.console.live.rig import HandFeed, line


class Counting:
    """Statistics with a clock of its own."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.feed = HandFeed()
        self.statistics = Statistics(cast("Feed", self.feed), lambda: self.now)

    def ask(self) -> dict[str, Any]:
        return cast("dict[str, Any]", json.loads(self.statistics.answer()))


@pytest.fixture
def counting() -> Counting:
    made = Counting()
    made.ask()
    return made


def test_what_arrives_is_counted(counting: Counting) -> None:
    counting.feed.send([line(1, "/a?x=1", 404), line(2, "/a?x=2"), line(3, "/b", 502), line(4, "/a")])
    counting.now += 1
    found = counting.ask()
    assert (found["requests"], found["left_out"], found["bytes"]) == (4, 0, 40)
    assert (found["share_4xx"], found["share_5xx"], found["per_s"]) == (0.25, 0.25, 4.0)
    assert found["seconds"] == {"at": [1_000_000], "requests": [4], "server_errors": [1]}
    assert found["top"]["uri"] == {
        "rows": [{"value": "/a", "requests": 3}, {"value": "/b", "requests": 1}],
        "missed": 0,
    }
    assert found["top"]["upstream_addr"]["rows"] == [{"value": "10.1.0.2:80", "requests": 4}]


def test_the_window_slides(counting: Counting) -> None:
    for second in range(WINDOW_S * 2):
        counting.now += 1
        counting.feed.send([line(second, "/early" if second < WINDOW_S else "/late")])
        counting.ask()
    found = counting.ask()
    assert WINDOW_S <= found["requests"] <= WINDOW_S + 31
    assert len(found["seconds"]["at"]) == WINDOW_S
    assert found["top"]["uri"]["rows"][0]["value"] == "/late"


def test_passed_over_records_count_as_requests_and_are_named(counting: Counting) -> None:
    counting.feed.send([line(1, status=500)], skipped=99)
    counting.now += 1
    found = counting.ask()
    assert (found["requests"], found["left_out"], found["share_5xx"]) == (100, 99, 1.0)


def test_memory_is_bounded_and_the_error_is_part_of_the_answer(counting: Counting) -> None:
    for second in range(20):
        counting.now += 1
        lines = [line(number, f"/{second}/{number}" if number % 2 else "/often") for number in range(1000)]
        counting.feed.send(lines)
    counting.now += 1
    often = counting.ask()["top"]["uri"]
    held = sum(len(one.counts) for part in counting.statistics._slices for one in part.frequent.values())
    assert held <= len(counting.statistics._slices) * 5 * 2 * KEPT
    assert 0 < often["missed"] <= 20_000 / KEPT
    assert often["rows"][0]["value"] == "/often"
    assert often["rows"][0]["requests"] <= 10_000 <= often["rows"][0]["requests"] + often["missed"]


def test_a_minute_of_the_clock_is_counted_from_its_beginning(counting: Counting) -> None:
    minute = 1_000_020
    counting.feed.send([line(1, "/before")])
    counting.now = minute
    counting.feed.send([line(1, "/a", 404), line(2, "/a", 200), line(3, "/b", 999)], skipped=2)
    counting.ask()
    counting.now = minute + 42
    counting.feed.send([line(4, "/b", 503)])
    (passing,) = counting.statistics.numbers().minutes
    assert (passing.begin, passing.seconds, passing.requests, passing.left_out) == (minute, 42, 6, 2)
    assert passing.bytes == 40
    assert passing.classes == {"1xx": 0, "2xx": 1, "3xx": 0, "4xx": 1, "5xx": 1, "other": 1}
    assert passing.top["uri"] == Top([("/a", 2), ("/b", 2)], 0)
    counting.now = minute + 61
    counting.feed.send([line(5, "/c")])
    over, next_one = counting.statistics.numbers().minutes
    assert over == passing._replace(seconds=60)
    assert (next_one.begin, next_one.seconds, next_one.requests) == (minute + 60, 1, 1)
    assert counting.statistics.numbers(after=minute).minutes == [next_one]


def test_a_minute_of_which_the_window_has_a_part_is_none(counting: Counting) -> None:
    for second in range(20, WINDOW_S * 2):
        counting.now = 1_000_000.0 + second
        counting.ask()
        counting.feed.send([line(second)])
    numbers = counting.statistics.numbers()
    assert [one.requests for one in numbers.minutes[:-1]] == [60] * (len(numbers.minutes) - 1)
    assert WINDOW_S <= 60 * len(numbers.minutes) <= WINDOW_S + 60


def test_all_statuses_are_counted_exactly(counting: Counting) -> None:
    counting.now = 1_000_020
    counting.feed.send([line(1, status=status) for status in range(1000)] * 2)
    (minute,) = counting.statistics.numbers().minutes
    assert minute.classes == {**dict.fromkeys(("1xx", "2xx", "3xx", "4xx", "5xx"), 200), "other": 1000}
    assert minute.top["status"].missed == 0


def test_a_while_after_the_last_question_it_counts_no_more(counting: Counting) -> None:
    counting.now += 61
    counting.feed.send([line(1)])
    assert counting.feed.sinks == []
    assert counting.ask()["requests"] == 0
    assert counting.feed.sinks == [counting.statistics]
