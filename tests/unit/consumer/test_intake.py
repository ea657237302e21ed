"""What is taken of what the client gives: nothing foreign, nothing twice, no gap unseen."""

from __future__ import annotations

import ipaddress
import threading
from typing import Any

import pytest

from obsctl.consumer.config import BatchLimits, Config, Kafka
from obsctl.consumer.stream.intake import Intake
from obsctl.consumer.stream.membership import Membership
from obsctl.consumer.stream.progress import Progress
from obsctl.consumer.telemetry import Telemetry
from obsctl.kafka.partition import TopicPartition
from obsctl.store.settings import Database
from tests.unit.consumer.messages import FakeMessage

PART = TopicPartition("nginxlog", 0)


class FakeConsumer:
    """Remembers where it was sent."""

    def __init__(self) -> None:
        self.seeks: list[tuple[str, int, int]] = []

    def seek(self, place: Any) -> None:
        self.seeks.append((place.topic, place.partition, place.offset))


@pytest.fixture
def progress() -> Progress:
    made = Progress()
    made.next[PART] = 10
    return made


@pytest.fixture
def intake(progress: Progress) -> Intake:
    return Intake(BatchLimits(interval_ms=10_000), progress)  # the machine may be busy


def offsets(intake: Intake, consumer: FakeConsumer, *messages: FakeMessage) -> list[int]:
    """Return the offsets that are accepted, and see that each comes with its own record."""
    runs = intake.accept(consumer, list(messages))  # type: ignore[arg-type]
    given = {(m.place, m.offset()): m.value() for m in messages}
    accepted = [(run.part, run.first + n, value) for run in runs for n, value in enumerate(run.values)]
    assert all(given[part, offset] == value for part, offset, value in accepted)
    return [offset for _, offset, _ in accepted]


def at(*numbers: int, partition: int = 0) -> list[FakeMessage]:
    return [FakeMessage(n, b"%d" % n, partition=partition) for n in numbers]


def test_follows_without_a_gap(intake: Intake) -> None:
    assert offsets(intake, FakeConsumer(), *at(10, 11, 12)) == [10, 11, 12]


def test_drops_what_is_not_ours_and_what_was_before_a_seek(intake: Intake) -> None:
    assert offsets(intake, FakeConsumer(), *at(3, partition=1), *at(8, 9, 10, 11)) == [10, 11]


def test_partitions_come_mixed(intake: Intake, progress: Progress) -> None:
    progress.next[PART._replace(partition=1)] = 3
    found = offsets(intake, FakeConsumer(), *at(10, 11), *at(3, 4, partition=1), *at(12, 14), *at(6, 7, partition=1))
    assert found == [10, 11, 3, 4, 12]


def test_a_gap_is_believed_only_when_it_is_seen_again(intake: Intake, progress: Progress) -> None:
    consumer = FakeConsumer()
    assert offsets(intake, consumer, *at(10, 11, 14, 15)) == [10, 11]
    assert consumer.seeks == [("nginxlog", 0, 12)]
    progress.next[PART] = 12
    assert offsets(intake, consumer, *at(14, 15)) == [14, 15]
    assert len(consumer.seeks) == 1


def test_a_gap_that_the_second_look_fills_was_none(intake: Intake) -> None:
    consumer = FakeConsumer()
    assert offsets(intake, consumer, *at(12, 13)) == []
    assert offsets(intake, consumer, *at(10, 11, 12, 13)) == [10, 11, 12, 13]


def test_a_join_that_is_never_answered_is_given_up_within_a_minute() -> None:
    config = Config(kafka=Kafka(bootstrap=("127.0.0.1:1",)), database=Database(host="h", password="env:X"))
    member = Membership(config, Progress(), None, Telemetry(), take_results=print, stop=threading.Event())  # type: ignore[arg-type]  # nothing is stored
    # The client waits for this and three seconds more.
    assert member.settings()["max.poll.interval.ms"] <= 57_000


class Backlog:
    """Gives as many records of one size as it is asked for."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.asked: list[int] = []

    def consume(self, count: int, _timeout: float) -> list[FakeMessage]:
        self.asked.append(count)
        return [FakeMessage(n, bytes(self.size)) for n in range(count)]


@pytest.mark.parametrize(("size", "at_most"), [(100 * 2**10, 10 * 2**20), (2**20, 22 * 2**20)])
def test_a_batch_of_large_records_stays_small(intake: Intake, size: int, at_most: int) -> None:
    backlog = Backlog(size)
    for _ in range(3):
        assert sum(map(len, intake.collect(backlog))) <= at_most  # type: ignore[arg-type]
    assert sum(map(len, intake.collect(backlog))) <= 9 * 2**20  # type: ignore[arg-type]


def test_small_records_are_read_in_large_calls(intake: Intake) -> None:
    backlog = Backlog(300)
    assert len(intake.collect(backlog)) == 10_000  # type: ignore[arg-type]
    assert len(backlog.asked) <= 22


def test_networks_of_one() -> None:
    config = Config(
        kafka=Kafka(bootstrap=("h:1",)), database=Database(host="h", password="env:X"), trusted_proxies=("10.0.0.1",)
    )
    assert config.proxy_networks() == (ipaddress.ip_network("10.0.0.1/32"),)
