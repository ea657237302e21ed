"""Tails: no faster than a browser can show, every line that is left out counted, and a slow filter at its own cost."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import cast

import pytest

from obsctl.console.live.feed import Feed
from obsctl.console.live.tails import RATE, Tail, Tails
from obsctl.query.fields import ACCESS
from rig.waiting import wait_for
from tests.unit.console.live.rig import HandFeed, line


@pytest.fixture
def feed() -> HandFeed:
    return HandFeed()


@pytest.fixture
def fan(feed: HandFeed) -> Iterator[Tails]:
    made = Tails(cast("Feed", feed), ACCESS)
    yield made
    for tail in made._tails:
        made.close(tail)


class Seen:
    """What a tail has shown so far."""

    def __init__(self, tail: Tail) -> None:
        self._tail = tail
        self.uris: list[str] = []
        self.left_out = self.unseen = 0

    @property
    def counted(self) -> int:
        taken = self._tail.take()
        self.uris += [json.loads(shown.json)["uri"] for shown in taken.lines]
        self.left_out += taken.left_out
        self.unseen += taken.unseen
        return len(self.uris) + self.left_out + self.unseen


def test_each_tail_has_the_lines_that_fit_it(feed: HandFeed, fan: Tails) -> None:
    odd, every = (Seen(fan.open(lambda one: one.status == 500)), Seen(fan.open(lambda _: True)))
    feed.send([line(number, status=500 if number % 2 else 200) for number in range(10)])
    wait_for("all", lambda: odd.counted == 5 and every.counted == 10)
    assert odd.uris == ["/1", "/3", "/5", "/7", "/9"]
    assert every.uris == [f"/{number}" for number in range(10)]


def test_what_is_too_much_to_show_is_counted_and_the_newest_stay(feed: HandFeed, fan: Tails) -> None:
    seen = Seen(fan.open(lambda _: True))
    feed.send([line(number) for number in range(1000)])
    time.sleep(0.1)  # the filter has looked at all of them
    wait_for("all", lambda: seen.counted == 1000)
    assert (len(seen.uris), seen.left_out, seen.unseen) == (RATE, 1000 - RATE, 0)
    assert seen.uris == [f"/{number}" for number in range(1000 - RATE, 1000)]


def test_the_rate_is_kept_over_time(feed: HandFeed, fan: Tails) -> None:
    seen = Seen(fan.open(lambda _: True))
    began = time.monotonic()
    sent = 0
    while time.monotonic() - began < 1.5:
        feed.send([line(number) for number in range(50)])
        sent += 50
        time.sleep(0.01)
        assert seen.counted <= sent
    wait_for("all", lambda: seen.counted == sent)
    assert len(seen.uris) <= RATE * (time.monotonic() - began + 1)
    assert seen.left_out > 0


def test_records_that_the_reader_passed_over_are_counted(feed: HandFeed, fan: Tails) -> None:
    seen = Seen(fan.open(lambda _: True))
    feed.send([line(1)], skipped=70_000)
    wait_for("all", lambda: seen.counted == 70_001)
    assert (seen.uris, seen.unseen) == (["/1"], 70_000)


def test_a_slow_filter_stalls_neither_the_reader_nor_the_others(feed: HandFeed, fan: Tails) -> None:

    def burns(_: object) -> bool:
        ends = time.thread_time() + 0.02
        while time.thread_time() < ends:
            pass
        return False

    slow, fast = Seen(fan.open(burns)), Seen(fan.open(lambda one: one.uri == "/7"))
    longest, lags = 0.0, []
    for round_number in range(1, 16):
        began = time.monotonic()
        feed.send([line(number) for number in range(500)])
        longest = max(longest, time.monotonic() - began)
        wait_for("the fast one", lambda due=round_number: fast.counted == due)
        lags.append(time.monotonic() - began)
    assert longest < 0.5, "the reader waited for a filter"
    assert sorted(lags)[len(lags) // 2] < 0.5
    assert slow.counted > 0, "what it cannot look at is dropped and said"


def test_a_tail_that_is_never_read_holds_no_more_than_it_may(feed: HandFeed, fan: Tails) -> None:
    tail = fan.open(lambda _: True)
    for _ in range(40):
        feed.send([line(number) for number in range(1000)])
    wait_for("all looked at", lambda: not tail.look())
    taken = tail.take()
    assert len(taken.lines) <= RATE
    assert len(taken.lines) + taken.left_out + taken.unseen == 40_000


def test_when_the_last_has_left_nothing_is_read_or_filtered(feed: HandFeed, fan: Tails) -> None:
    one, other = fan.open(lambda _: True), fan.open(lambda _: True)
    fan.close(one)
    assert feed.sinks == [fan]
    fan.close(other)
    assert feed.sinks == []
    wait_for("no thread", lambda: fan._thread is None)
    assert fan.open(lambda _: True)
    assert feed.sinks == [fan]
