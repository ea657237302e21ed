"""Partitions that wait or do not move, topics that are another one, a store that is slow."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaException

from obsctl.consumer.stream import watch as module
from obsctl.consumer.stream.progress import Progress
from obsctl.consumer.stream.watch import Watch
from obsctl.consumer.telemetry import Telemetry
from obsctl.store.batch import Source
from tests.unit.consumer.doubles import PART, Clock, FakeClient, FakeEnds, FakeWriter

OTHER = PART._replace(partition=1)


class Bench:
    """A partition that is read from offset 10, of 10; the clock moves by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = Clock()
        monkeypatch.setattr(module, "time", self.clock)
        monkeypatch.setattr("obsctl.consumer.stream.progress.time", self.clock)
        self.client, self.writer, self.ends = FakeClient(), FakeWriter(), FakeEnds()
        self.progress, self.telemetry = Progress(), Telemetry()
        self.watch = Watch(self.progress, self.writer, self.ends, self.telemetry)  # type: ignore[arg-type]
        self.progress.assigned([PART])
        self.progress.read_from(self.client, PART, 10, Source(1, "cluster", "id"), 10)  # type: ignore[arg-type]
        self.ends.ends[PART] = 10

    def look(self, seconds: float) -> bool:
        """Look some seconds later."""
        self.clock.now += seconds
        return self.watch.look(self.client)  # type: ignore[arg-type]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


def test_it_looks_every_two_seconds(bench: Bench) -> None:
    assert [bench.look(seconds) for seconds in (3, 1, 0.5, 0.5)] == [True, False, False, True]


def test_a_partition_that_waits_for_long_is_a_trouble(bench: Bench) -> None:
    bench.progress.assigned([OTHER])
    bench.look(14)
    assert bench.telemetry.troubles == {}
    bench.look(2)
    assert "no start offset is known" in bench.telemetry.troubles["nginxlog/1"].message


def test_a_trouble_that_explains_the_wait_is_kept(bench: Bench) -> None:
    bench.progress.assigned([OTHER])
    bench.telemetry.trouble("nginxlog/1", "the database is ahead of the broker")
    bench.look(20)
    assert bench.telemetry.troubles["nginxlog/1"].message == "the database is ahead of the broker"


def test_a_partition_with_records_that_does_not_move_is_positioned_again(bench: Bench) -> None:
    bench.ends.ends[PART] = 30
    bench.look(3)
    bench.look(14)
    assert PART in bench.progress.next
    bench.look(2)
    assert (bench.progress.waiting.keys(), bench.client.assigned) == ({PART}, {})


def test_a_client_that_does_not_read_a_partition_in_spite_of_that_is_given_up(bench: Bench) -> None:
    bench.ends.ends[PART] = 30

    def stuck_again(offset: int) -> None:
        if PART not in bench.progress.next:
            bench.progress.read_from(bench.client, PART, offset, Source(1, "cluster", "id"), offset)  # type: ignore[arg-type]
        bench.look(3)
        bench.look(16)

    for _ in range(3):
        stuck_again(10)
    stuck_again(20)  # it moved, and what was counted is void
    for _ in range(2):
        stuck_again(20)
    assert PART not in bench.progress.next
    with pytest.raises(KafkaException, match=r"nginxlog/0 was positioned \d+ times at offset 20"):
        stuck_again(20)


def test_a_partition_that_moves_is_left_alone(bench: Bench) -> None:
    bench.ends.ends[PART] = 1000
    for offset in range(11, 40):
        bench.progress.next[PART] = offset
        bench.look(10)
    assert PART in bench.progress.next


@pytest.mark.parametrize("end", [10, 5, None], ids=["at its end", "of an end that is older", "without a known end"])
def test_a_partition_without_known_records_is_left_alone(bench: Bench, end: int | None) -> None:
    bench.ends.ends = {} if end is None else {PART: end}
    for _ in range(10):
        bench.look(10)
    assert PART in bench.progress.next


@pytest.mark.parametrize("held", ["paused", "no room"])
def test_what_we_hold_up_ourselves_is_not_stuck(bench: Bench, held: str) -> None:
    bench.ends.ends[PART] = 30
    if held == "paused":
        bench.progress.pause_all(bench.client)  # type: ignore[arg-type]
    else:
        bench.writer.room = False
    for _ in range(10):
        bench.look(10)
    assert PART in bench.progress.next
    bench.progress.resume_all(bench.client)  # type: ignore[arg-type]
    bench.writer.room = True
    bench.look(10)
    assert PART in bench.progress.next, "its time begins when it could move"
    bench.look(10)
    assert PART not in bench.progress.next


def test_a_topic_that_was_created_again_is_positioned_again(bench: Bench) -> None:
    bench.look(3)
    assert PART in bench.progress.next
    bench.ends.topic_ids["nginxlog"] = "another"
    bench.look(3)
    assert (bench.progress.waiting.keys(), bench.client.assigned) == ({PART}, {})


def test_a_topic_that_is_not_there_at_the_moment_is_left_alone(bench: Bench) -> None:
    bench.ends.topic_ids.clear()
    bench.look(3)
    assert PART in bench.progress.next


def test_a_partition_that_exists_again_waits_for_its_position(bench: Bench) -> None:
    bench.progress.assigned([OTHER])
    bench.progress.set_aside([OTHER])
    bench.ends.partitions = 1
    bench.progress.ask_again_at = 100.0
    bench.look(20)
    assert bench.progress.absent == {OTHER}
    assert bench.telemetry.troubles == {}
    assert bench.progress.ask_again_at == 100.0, "nothing new is to be asked"
    bench.ends.partitions = 2
    bench.look(3)
    assert bench.progress.absent == set()
    assert bench.progress.waiting.keys() == {OTHER}


def test_a_store_that_does_not_answer_for_long_is_a_trouble(bench: Bench) -> None:
    bench.writer.busy = 9
    bench.look(3)
    assert bench.telemetry.troubles == {}
    bench.writer.busy = 11
    bench.look(3)
    assert "more than 10 s" in bench.telemetry.troubles["database"].message
