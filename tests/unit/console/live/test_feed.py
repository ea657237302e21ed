"""The reader of a topic: it runs while lines are wanted, says why none come, and passes over what it cannot follow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest

from obsctl.console.live import feed as module
from obsctl.console.live.feed import Batch, Feed
from obsctl.core.errors import ObsctlError
from obsctl.kafka.topic_log import NotAnsweredError, Record, TopicLog, TopicMissingError
from obsctl.lines.client_address import TrustedProxies
from obsctl.lines.formats.line import AccessLine
from obsctl.lines.line_reader import LineReader
from rig.records import json_line, marked, record
from rig.waiting import wait_for


class Kafka:
    """Stands for a topic: what it has, and what is wrong with it."""

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.behind = 0
        self.away: ObsctlError | None = None
        self.other_partitions = False
        self.opened = self.closed = 0

    def open(self, _topic: str, _client_id: str, _answer_s: float) -> TopicLog:
        if self.away is not None:
            raise self.away
        self.opened += 1
        return cast("TopicLog", self)

    def poll(self, _timeout_s: float) -> list[Record]:
        module.time.sleep(0.005)
        found, self.records = self.records, []
        return [Record(0, number, b"", value) for number, value in enumerate(found)]

    def skip_to_end(self) -> int:
        skipped, self.behind = self.behind, 0
        return skipped

    def ask(self, _timeout_s: float) -> bool:
        if self.away is not None:
            raise self.away
        changed, self.other_partitions = self.other_partitions, False
        return changed

    def close(self) -> None:
        self.closed += 1


class Bag:
    """Keeps what it gets."""

    def __init__(self) -> None:
        self.uris: list[str] = []
        self.skipped = 0

    def take(self, batch: Batch) -> None:
        self.uris += [cast("AccessLine", line).uri for line in batch.lines]
        self.skipped += batch.skipped


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> Kafka:
    monkeypatch.setattr(module, "_ASK_EVERY_S", 0.02)
    monkeypatch.setattr(module, "_AGAIN_S", 0.02)
    return Kafka()


@pytest.fixture
def feed(kafka: Kafka) -> Iterator[Feed]:
    made = Feed("access", LineReader(TrustedProxies(())), AccessLine, kafka.open)
    yield made
    made.stop()


def test_all_who_want_lines_have_them_from_one_reader(kafka: Kafka, feed: Feed) -> None:
    one, other = Bag(), Bag()
    feed.join(one)
    feed.join(other)
    error = record("2026/01/02 11:04:05 [error] 7#7: no", 3, log_format="error")
    probe = record(marked(json_line(2, uri="/probe"), "probe-0123456789ab"), 2)
    kafka.records = [record(json_line(1, uri="/a"), 1), probe, error, b"no record"]
    wait_for("the line", lambda: one.uris == other.uris == ["/a"])
    feed.leave(one)
    kafka.records = [record(json_line(1, uri="/b"), 1)]
    wait_for("the next", lambda: other.uris == ["/a", "/b"])
    assert one.uris == ["/a"]
    assert kafka.opened == 1


def test_it_ends_a_while_after_the_last_has_left_and_begins_again(
    kafka: Kafka, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    bag = Bag()
    assert kafka.opened == 0, "nobody watches yet"
    feed.join(bag)
    wait_for("it reads", lambda: feed.trouble == "")
    feed.leave(bag)
    assert kafka.closed == 0
    monkeypatch.setattr(module, "_LINGER_S", 0.05)
    wait_for("its end", lambda: kafka.closed == 1 and feed._thread is None)
    feed.join(bag)
    kafka.records = [record(json_line(1, uri="/a"), 1)]
    wait_for("the line", lambda: bag.uris == ["/a"])


def test_while_kafka_is_away_it_says_so_and_goes_on_where_it_was(kafka: Kafka, feed: Feed) -> None:
    feed.join(Bag())
    wait_for("it reads", lambda: feed.trouble == "")
    kafka.away = NotAnsweredError("Kafka does not answer: timed out")
    wait_for("trouble", lambda: feed.trouble == "Kafka does not answer: timed out")
    kafka.away = None
    wait_for("it reads again", lambda: feed.trouble == "")
    assert (kafka.opened, kafka.closed) == (1, 0)


def test_a_topic_that_is_not_there_is_tried_again(kafka: Kafka, feed: Feed) -> None:
    kafka.away = TopicMissingError("the cluster has no topic access")
    feed.join(Bag())
    wait_for("trouble", lambda: feed.trouble == "the cluster has no topic access")
    kafka.away = None
    wait_for("it reads", lambda: feed.trouble == "")


def test_other_partitions_are_read_as_well(kafka: Kafka, feed: Feed) -> None:
    feed.join(Bag())
    wait_for("it reads", lambda: feed.trouble == "")
    kafka.other_partitions = True
    wait_for("it has begun again", lambda: kafka.opened == 2 and kafka.closed == 1)


def test_what_it_cannot_follow_is_passed_over_and_counted(kafka: Kafka, feed: Feed) -> None:
    bag = Bag()
    feed.join(bag)
    kafka.behind = module._MOST_BEHIND
    wait_for("it reads", lambda: feed.trouble == "")
    kafka.records = [record(json_line(1, uri="/a"), 1)]
    wait_for("the line", lambda: bag.uris)
    assert bag.skipped == 0
    kafka.behind = module._MOST_BEHIND + 1
    wait_for("the jump", lambda: bag.skipped == module._MOST_BEHIND + 1)
