"""The reader's loop: from the client through the assembler to the writer, and back with the results."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import confluent_kafka
import pytest
from confluent_kafka import KafkaError, KafkaException

from obsctl.consumer.config import BatchLimits
from obsctl.consumer.stream import reader as module
from obsctl.consumer.stream.reader import Reader
from obsctl.consumer.telemetry import Telemetry
from obsctl.consumer.writer import Fenced, Positioned, Question, Stored
from obsctl.kafka.partition import TopicPartition
from obsctl.store.batch import Batch, Run, Step
from obsctl.store.interface import Position
from tests.unit.consumer.doubles import PART, Clock, FakeClient, FakeEnds, FakeWriter
from tests.unit.consumer.messages import FakeError, FakeMessage
from tests.unit.consumer.settings import config, database, kafka

CONFIG = config(
    kafka=kafka(),
    database=database(),
    batch=BatchLimits(interval_ms=10, lines=10),
)


class FakeAssembler:
    """Makes batches that hold nothing but their steps and runs."""

    def assemble(self, runs: list[Run], sources: Any, expected: dict[TopicPartition, int]) -> Batch:
        ends = {run.part: run.first + len(run.values) for run in runs}
        partitions = {sources[part].source_id: part for part in ends}
        steps = {number: Step(expected[part], ends[part]) for number, part in partitions.items()}
        return Batch(steps, partitions, runs)


class Answering(FakeWriter):
    """Answers questions with position 10, and stores batches when the test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.position = Position(1, 10)

    def ask(self, question: Question) -> None:
        super().ask(question)
        self.ready.append(Positioned(question, dict.fromkeys(question.topic_ids, self.position)))

    def give(self, batch: Batch) -> None:
        super().give(batch)
        self.ready.append(Stored(batch.ends))


class Bench:
    """A reader whose clients follow a script: a step each turn, after the last one the stop."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = Clock()  # a call takes longer than a batch's time, so a turn is one call
        monkeypatch.setattr("obsctl.consumer.stream.intake.time", self.clock)
        self.stop = threading.Event()
        self.clients: list[FakeClient] = []
        self.steps: list[Callable[[FakeClient], list[FakeMessage]]] = []
        self.writer, self.telemetry, self.ends = Answering(), Telemetry(), FakeEnds()
        monkeypatch.setattr(module.confluent_kafka, "Consumer", self._client)
        monkeypatch.setattr(module, "_RESTART_S", 0)
        self.reader = Reader(CONFIG, FakeAssembler(), self.writer, ends=self.ends, telemetry=self.telemetry)  # type: ignore[arg-type]

    def _client(self, *_: Any, **__: Any) -> FakeClient:
        client = FakeClient()
        client.consume = lambda *_: self._turn(client)  # type: ignore[method-assign]
        self.clients.append(client)
        return client

    def _turn(self, client: FakeClient) -> list[FakeMessage]:
        self.clock.now += 1
        if not self.steps:
            self.stop.set()
            return []
        return self.steps.pop(0)(client)

    def run(self, *steps: Callable[[FakeClient], list[FakeMessage]]) -> None:
        self.steps = list(steps)
        self.reader.run(self.stop)


def assign(client: FakeClient) -> list[FakeMessage]:
    client.subscription["on_assign"](client, [confluent_kafka.TopicPartition(*PART)])
    return []


def nothing(_client: FakeClient) -> list[FakeMessage]:
    return []


def records(*offsets: int) -> Callable[[FakeClient], list[FakeMessage]]:
    return lambda _client: [FakeMessage(offset, b"x") for offset in offsets]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


def test_records_go_to_the_writer_from_the_stores_position_on(bench: Bench) -> None:
    bench.run(assign, nothing, records(8, 9, 10, 11), records(12), nothing)
    assert [batch.steps for batch in bench.writer.batches] == [{1: Step(10, 12)}, {1: Step(12, 13)}]
    (client,) = bench.clients
    assert client.assigned == {PART: 10}
    assert client.committed_to_group[-1] == {PART: 13}
    assert client.closed


def test_what_is_stored_shows_in_the_positions(bench: Bench) -> None:
    bench.run(assign, nothing, records(10, 11), nothing, nothing)
    assert bench.telemetry.positions == {PART: 12}


def test_a_fenced_batch_has_the_position_asked_for_again(bench: Bench) -> None:
    def fence(_client: FakeClient) -> list[FakeMessage]:
        bench.writer.ready.append(Fenced((PART,)))
        bench.writer.position = Position(1, 40)
        return []

    bench.run(assign, nothing, fence, nothing, nothing, records(40))
    assert bench.telemetry.counters.fenced == 1
    assert bench.clients[0].assigned == {PART: 40}
    assert bench.writer.batches[-1].steps == {1: Step(40, 41)}


def test_a_fence_about_a_partition_that_was_handed_over_is_only_counted(bench: Bench) -> None:
    def fence(_client: FakeClient) -> list[FakeMessage]:
        bench.writer.ready.append(Fenced((PART._replace(partition=5),)))
        return []

    bench.run(assign, nothing, fence, nothing)
    assert bench.telemetry.counters.fenced == 1
    assert bench.clients[0].assigned == {PART: 10}


def test_a_writer_without_room_pauses_the_partitions_and_the_polling_goes_on(bench: Bench) -> None:
    seen: list[set[TopicPartition]] = []

    def full(client: FakeClient) -> list[FakeMessage]:
        bench.writer.room = False
        return []

    def look(client: FakeClient) -> list[FakeMessage]:
        seen.append(set(client.paused))
        return []

    def room(client: FakeClient) -> list[FakeMessage]:
        seen.append(set(client.paused))
        bench.writer.room = True
        return []

    bench.run(assign, nothing, full, look, room, look)
    assert seen == [{PART}, {PART}, set()]


def test_a_client_that_failed_for_good_is_followed_by_a_new_one(bench: Bench) -> None:
    def fail(_client: FakeClient) -> list[FakeMessage]:
        return [FakeError(KafkaError._FATAL)]

    troubles: dict[str, str] = {}

    def look(client: FakeClient) -> list[FakeMessage]:
        troubles.update({subject: note.message for subject, note in bench.telemetry.troubles.items()})
        return assign(client)

    bench.run(assign, nothing, fail, look, nothing, records(10))
    first, second = bench.clients
    assert first.closed
    assert troubles.keys() == {"client"}
    assert "KafkaError{" not in troubles["client"], "in words"
    assert bench.telemetry.troubles == {}, "it is over with the next assignment"
    assert second.assigned == {PART: 10}
    assert bench.writer.batches[-1].steps == {1: Step(10, 11)}


def test_an_error_that_only_the_call_back_gets_ends_the_client_too(bench: Bench) -> None:
    def fail(_client: FakeClient) -> list[FakeMessage]:
        bench.reader._membership.fatal = KafkaError(KafkaError._FATAL)
        return []

    bench.run(assign, fail, assign)
    assert len(bench.clients) == 2


def test_what_was_given_by_an_earlier_client_does_not_move_the_new_ones_partitions(bench: Bench) -> None:
    """Its results come late; the new client's partitions wait for the store's answer."""

    def fail(_client: FakeClient) -> list[FakeMessage]:
        bench.writer.ready.append(Stored({PART: 99}))
        raise KafkaException(KafkaError(KafkaError._FATAL))

    bench.run(fail, assign, nothing, nothing)
    assert bench.telemetry.positions == {PART: 10}
