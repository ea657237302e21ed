"""What a partition waits for before it goes on, with a clock of the test's own."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from obsctl.consumer.stream import positioning
from obsctl.consumer.stream.positioning import Positioning
from obsctl.consumer.stream.progress import Progress
from obsctl.consumer.telemetry import Telemetry
from obsctl.consumer.writer import Positioned, Question
from obsctl.kafka.partition import TopicPartition
from obsctl.store.batch import Batch, Source, Step
from obsctl.store.interface import Origin, Position

PART = TopicPartition("nginxlog", 0)


class Broker:
    """A partition with two ends."""

    def __init__(self) -> None:
        self.low, self.high = 0, 100
        self.seeks: list[int] = []
        self.silent: set[int] = set()

    def get_watermark_offsets(self, place: Any, timeout: float) -> tuple[int, int]:
        if place.partition in self.silent:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        return self.low, self.high

    def pause(self, _places: Any) -> None:
        pass

    def seek(self, place: Any) -> None:
        self.seeks.append(place.offset)

    def resume(self, _places: Any) -> None:
        pass


class Writer:
    """Takes steps."""

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def give(self, batch: Batch) -> None:
        self.steps += batch.steps.values()


class Bench:
    """A positioning, and what it says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(positioning.time, "monotonic", lambda: self.now)
        self.progress, self.telemetry, self.broker = Progress(), Telemetry(), Broker()
        self.progress.waiting[PART] = self.now
        self.held: dict[Any, Any] = {}
        self.writer = Writer()
        self.positioning = self.another()

    def another(self) -> Positioning:
        return Positioning(self.progress, self.writer, None, self.telemetry, held=self.held)  # type: ignore[arg-type]  # not asked

    def told(self, position: Position) -> bool:
        """Give the store's answer; return whether the partition goes on."""
        question = Question("cluster", {PART: "id"})
        self.positioning.take(self.broker, Positioned(question, {PART: position}))  # type: ignore[arg-type]
        return PART not in self.progress.waiting


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


def test_what_was_written_below_a_position_is_read(bench: Bench) -> None:
    """By a cluster that was restored; a new leader that learns what was acknowledged looks the same for a while."""
    for high in (90, 95, 70, 99):
        bench.broker.high = high
        assert not bench.told(Position(1, 100))
    trouble = bench.telemetry.troubles["nginxlog/0"]
    assert "the database is at offset 100, the broker ends at 99" in trouble.message
    assert "obsctl consumer reset --topic nginxlog --partition 0 --to earliest" in trouble.hint
    bench.positioning = bench.another()  # the next client knows it too
    bench.broker.high = 250
    assert bench.told(Position(1, 100))
    assert bench.broker.seeks == [70]
    assert bench.writer.steps == [Step(100, 70)]
    assert bench.telemetry.troubles == {}
    assert "read again from there" in bench.telemetry.notices()["nginxlog/0 held"].message
    assert bench.telemetry.counters.missing_offsets == 0


def test_a_position_that_was_moved_meanwhile_counts(bench: Bench) -> None:
    bench.broker.high = 90
    assert not bench.told(Position(1, 100))
    assert bench.told(Position(1, 20))
    assert bench.broker.seeks == [20]
    assert bench.writer.steps == []


def test_a_topic_made_again_waits_until_every_broker_knows(bench: Bench) -> None:
    remade = Position(2, 0, Origin.REMADE)
    assert not bench.told(remade)
    assert "made again" in bench.telemetry.notices()["nginxlog"].message
    bench.now += 9
    assert not bench.told(remade)
    bench.now += 2
    assert bench.told(remade)
    assert bench.broker.seeks == [0]
    assert bench.telemetry.troubles == {}


@pytest.mark.parametrize("silent", range(6))
def test_a_partition_without_a_leader_keeps_no_other_from_being_read(bench: Bench, silent: int) -> None:
    parts = [TopicPartition("nginxlog", number) for number in range(6)]
    bench.progress.waiting |= dict.fromkeys(parts, bench.now)
    bench.broker.silent = {silent}
    question = Question("cluster", dict.fromkeys(parts, "id"))
    for _ in range(2):
        bench.now += 5
        answer = Positioned(question, {part: Position(part.partition, 7) for part in bench.progress.waiting})
        bench.positioning.take(bench.broker, answer)  # type: ignore[arg-type]
    assert bench.progress.waiting.keys() == {parts[silent]}


@pytest.mark.parametrize(
    ("told", "topic_id", "waits"),
    [
        (Position(17, 500), "id", False),
        (Position(17, 20), "id", True),
        (Position(4, 0), "id", True),
        (Position(18, 0), "another", False),
    ],
    ids=["as it was", "moved", "of a database made anew", "of a question about another topic"],
)
def test_a_quiet_partition_is_left_when_the_store_says_otherwise(
    bench: Bench, told: Position, topic_id: str, waits: bool
) -> None:
    asked: list[Question] = []
    bench.writer.ask = asked.append  # type: ignore[attr-defined]
    bench.progress.waiting.clear()
    bench.progress.next[PART] = bench.progress.stored[PART] = 500
    bench.progress.sources[PART] = Source(17, "cluster", "id")
    bench.positioning.ask(bench.broker)  # type: ignore[arg-type]
    (question,) = asked
    bench.progress.sources[PART] = Source(17, "cluster", topic_id)
    bench.positioning.take(bench.broker, Positioned(question, {PART: told}))  # type: ignore[arg-type]
    assert (PART in bench.progress.waiting) is waits
