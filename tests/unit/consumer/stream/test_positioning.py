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
from obsctl.store.batch import Source, Step
from obsctl.store.interface import Origin, Position
from tests.unit.consumer.doubles import PART, Clock, FakeClient, FakeEnds, FakeWriter

OTHER = PART._replace(partition=1)


class Bench:
    """A positioning, and what it says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = Clock()
        monkeypatch.setattr(positioning, "time", self.clock)
        self.progress, self.telemetry, self.client = Progress(), Telemetry(), FakeClient()
        self.progress.waiting[PART] = self.clock.now
        self.held: dict[Any, Any] = {}
        self.writer, self.ends = FakeWriter(), FakeEnds()
        self.positioning = self.another()

    def another(self) -> Positioning:
        return Positioning(self.progress, self.writer, self.ends, self.telemetry, held=self.held)  # type: ignore[arg-type]

    def ask(self) -> None:
        self.positioning.ask(self.client)  # type: ignore[arg-type]

    def answered(self, position: Position) -> bool:
        """Give the store's answer; return whether the partition goes on."""
        question = Question("cluster", {PART: "id"})
        self.positioning.take(self.client, Positioned(question, {PART: position}))  # type: ignore[arg-type]
        return PART not in self.progress.waiting

    @property
    def steps(self) -> list[Step]:
        """What the store was asked to skip."""
        return [step for batch in self.writer.batches for step in batch.steps.values()]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


def test_what_was_written_below_a_position_is_read(bench: Bench) -> None:
    """By a cluster that was restored; a new leader that learns what was acknowledged looks the same for a while."""
    for high in (90, 95, 70, 99):
        bench.client.high = high
        assert not bench.answered(Position(1, 100))
    trouble = bench.telemetry.troubles["nginxlog/0"]
    assert "the database is at offset 100, but the partition ends at 99" in trouble.message
    assert "obsctl consumer reset --topic nginxlog --partition 0 --to earliest" in trouble.hint
    bench.positioning = bench.another()  # the next client knows it too
    bench.client.high = 250
    assert bench.answered(Position(1, 100))
    assert bench.client.assigned == {PART: 70}
    assert bench.steps == [Step(100, 70)]
    assert bench.telemetry.troubles == {}
    assert "read again from 70" in bench.telemetry.notices()["nginxlog/0 held"].message
    assert bench.telemetry.counters.missing_offsets == 0


def test_a_position_that_was_moved_meanwhile_counts(bench: Bench) -> None:
    bench.client.high = 90
    assert not bench.answered(Position(1, 100))
    assert bench.answered(Position(1, 20))
    assert bench.client.assigned == {PART: 20}
    assert bench.steps == []


def test_a_topic_made_again_waits_until_every_broker_knows(bench: Bench) -> None:
    remade = Position(2, 0, Origin.REMADE)
    assert not bench.answered(remade)
    assert "created again" in bench.telemetry.notices()["nginxlog"].message
    bench.clock.now += 9
    assert not bench.answered(remade)
    bench.clock.now += 2
    assert bench.answered(remade)
    assert bench.client.assigned == {PART: 0}
    assert bench.telemetry.troubles == {}


@pytest.mark.parametrize("silent", range(6))
def test_a_partition_without_a_leader_keeps_no_other_from_being_read(bench: Bench, silent: int) -> None:
    parts = [TopicPartition("nginxlog", number) for number in range(6)]
    bench.progress.waiting |= dict.fromkeys(parts, bench.clock.now)
    bench.client.silent = {silent}
    question = Question("cluster", dict.fromkeys(parts, "id"))
    for _ in range(2):
        bench.clock.now += 5
        answer = Positioned(question, {part: Position(part.partition, 7) for part in bench.progress.waiting})
        bench.positioning.take(bench.client, answer)  # type: ignore[arg-type]
    assert bench.progress.waiting.keys() == {parts[silent]}


@pytest.mark.parametrize(
    ("position", "topic_id", "waits"),
    [
        (Position(17, 500), "id", False),
        (Position(17, 20), "id", True),
        (Position(4, 0), "id", True),
        (Position(18, 0), "another", False),
    ],
    ids=["as it was", "moved", "of a rebuilt database", "of a question about another topic"],
)
def test_a_quiet_partition_is_left_when_the_store_says_otherwise(
    bench: Bench, position: Position, topic_id: str, waits: bool
) -> None:
    bench.progress.read_from(bench.client, PART, 500, Source(17, "cluster", "id"), 500)  # type: ignore[arg-type]
    bench.ask()
    (question,) = bench.writer.questions
    bench.progress.sources[PART] = Source(17, "cluster", topic_id)
    bench.positioning.take(bench.client, Positioned(question, {PART: position}))  # type: ignore[arg-type]
    assert (PART in bench.progress.waiting) is waits
    assert (PART in bench.client.assigned) is not waits


@pytest.mark.parametrize("low", [20, 100])
def test_a_log_start_above_zero_loses_nothing_that_is_stored(bench: Bench, low: int) -> None:
    bench.client.low = low
    assert bench.answered(Position(1, 100))
    assert bench.client.assigned == {PART: 100}
    assert (bench.steps, bench.telemetry.notices(), bench.telemetry.counters.missing_offsets) == ([], {}, 0)


def test_a_log_start_above_the_position_is_a_loss(bench: Bench) -> None:
    bench.client.low = 30
    assert bench.answered(Position(1, 10))
    assert bench.client.assigned == {PART: 30}
    assert bench.steps == [Step(10, 30, lost=20)], (
        "where nothing is left to read, no line would carry the position there"
    )
    assert bench.progress.stored[PART] == 10
    assert bench.telemetry.counters.missing_offsets == 20
    assert "offsets 10 to 29 are missing" in bench.telemetry.notices()["nginxlog/0 missing"].message


def test_what_was_deleted_before_a_partition_was_first_read_is_no_loss(bench: Bench) -> None:
    bench.client.low = 30
    assert bench.answered(Position(1, 0, Origin.NEW))
    assert bench.client.assigned == {PART: 30}
    assert (bench.telemetry.notices(), bench.telemetry.counters.missing_offsets) == ({}, 0)


def test_a_database_behind_the_groups_offset_is_explained(bench: Bench) -> None:
    bench.client.group_offsets[PART] = 90
    bench.ask()
    assert bench.answered(Position(1, 40))
    assert "40, but 90 was committed" in bench.telemetry.notices()["nginxlog/0 database"].message
    assert bench.client.assigned == {PART: 40}


def test_another_cluster_is_explained(bench: Bench) -> None:
    assert bench.answered(Position(1, 0, Origin.OTHER_CLUSTER))
    assert "only from another cluster" in bench.telemetry.notices()["nginxlog"].message


def test_a_partition_is_given_to_the_client_paused_while_the_writer_has_no_room(bench: Bench) -> None:
    bench.progress.pause_all(bench.client)  # type: ignore[arg-type]
    assert bench.answered(Position(1, 40))
    assert bench.client.paused == {PART}
    bench.progress.resume_all(bench.client)  # type: ignore[arg-type]
    assert bench.client.paused == set()


def test_the_store_is_asked_once_about_what_waits(bench: Bench) -> None:
    bench.progress.waiting[OTHER] = bench.clock.now
    bench.ask()
    bench.ask()
    assert bench.writer.questions == [Question("cluster", {PART: "id", OTHER: "id"})]


def test_a_topic_that_is_not_there_yet_is_asked_for_later(bench: Bench) -> None:
    bench.ends.topic_ids.clear()
    bench.ask()
    assert bench.writer.questions == []
    bench.ends.topic_ids["nginxlog"] = "id"
    bench.ask()
    assert bench.writer.questions == [], "not at once"
    bench.clock.now += 10
    bench.ask()
    assert bench.writer.questions == [Question("cluster", {PART: "id"})]


def test_what_the_topic_does_not_have_is_not_waited_for(bench: Bench) -> None:
    """The group's assignor leaves such partitions with the member that had them, for ever."""
    bench.progress.assigned([OTHER])
    bench.telemetry.trouble("nginxlog/1", "no start offset is known")
    bench.ends.partitions = 1
    bench.ask()
    assert [question.topic_ids for question in bench.writer.questions] == [{PART: "id"}]
    assert bench.progress.waiting.keys() == {PART}
    assert bench.progress.absent == {OTHER}
    assert bench.telemetry.troubles == {}
    assert bench.progress.positions() == {PART: None}, "what nobody reads is not on the health page"


def test_of_a_topic_that_is_not_there_nothing_is_known(bench: Bench) -> None:
    bench.ends.topic_ids = {}
    bench.ask()
    assert bench.progress.waiting.keys() == {PART}
    assert bench.progress.absent == set()


def test_brokers_that_do_not_answer_are_reported_and_asked_again(bench: Bench) -> None:
    bench.ends.failure = KafkaException(KafkaError(KafkaError._TRANSPORT))
    bench.ask()
    assert "kafka" in bench.telemetry.troubles
    bench.ends.failure = None
    bench.clock.now += 10
    bench.ask()
    assert len(bench.writer.questions) == 1


def test_an_answer_about_a_partition_that_was_handed_over_is_ignored(bench: Bench) -> None:
    bench.progress.release(bench.client, [PART])  # type: ignore[arg-type]
    bench.answered(Position(1, 40))
    assert bench.client.assigned == {}
