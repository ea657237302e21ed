"""The storing thread: order, patience, and what it says meanwhile."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from obsctl.consumer.telemetry import Telemetry
from obsctl.consumer.writer import Fenced, Positioned, Question, Stored, Writer
from obsctl.kafka.partition import TopicPartition
from obsctl.store.batch import Batch, Step
from obsctl.store.interface import FencedError, Outcome, Position, StoreUnavailableError
from rig.waiting import wait_for

PART = TopicPartition("t", 0)


def batch(number: int) -> Batch:
    return Batch({1: Step(number, number + 1)}, {1: PART})


class FakeStore:
    """Does what its script says, one entry a call: an exception to raise, or something to wait for."""

    def __init__(self) -> None:
        self.script: list[BaseException | threading.Event] = []
        self.committed: list[int] = []
        self.closed = 0

    def _act(self) -> None:
        if self.script:
            act = self.script.pop(0)
            if isinstance(act, BaseException):
                raise act
            act.wait(10)

    def commit(self, batch: Batch) -> Outcome:
        self._act()
        self.committed.append(batch.steps[1].expected)
        return Outcome(stored=1, quarantined=0, known=0, refused=0, attempts=1)

    def positions(self, cluster_id: str, topic_ids: Any) -> dict[TopicPartition, Position]:
        self._act()
        return {part: Position(1, len(self.committed)) for part in topic_ids}

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


@pytest.fixture
def writer(store: FakeStore, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch) -> Iterator[Writer]:
    monkeypatch.setattr("obsctl.core.backoff.Backoff.delay", lambda self: 0.01)
    made = Writer(store, telemetry)  # type: ignore[arg-type]
    yield made
    made.stop(5)


def test_results_come_in_the_order_of_the_tasks(writer: Writer) -> None:
    writer.give(batch(0))
    question = Question("cluster", {PART: "id"})
    writer.ask(question)
    writer.give(batch(1))
    assert writer.drain(5)
    first, second, third = writer.results()
    assert isinstance(first, Stored)
    assert second == Positioned(question, {PART: Position(1, 1)})
    assert isinstance(third, Stored)
    assert writer.results() == []


def test_an_absent_store_is_waited_for(writer: Writer, store: FakeStore, telemetry: Telemetry) -> None:
    store.script = [StoreUnavailableError("away", "wake it")] * 5
    writer.give(batch(0))
    wait_for("the writer", lambda: "database" in telemetry.troubles, seconds=5)
    wait_for("the writer", lambda: store.committed == [0], seconds=5)
    wait_for("the writer", lambda: not telemetry.troubles, seconds=5)


def test_draining_does_not_wait_for_an_absent_store(writer: Writer, store: FakeStore) -> None:
    store.script = [StoreUnavailableError("away")] * 10_000
    writer.give(batch(0))
    assert not writer.drain(60)


def test_a_fault_of_our_own_neither_ends_nor_skips(writer: Writer, store: FakeStore, telemetry: Telemetry) -> None:
    store.script = [ValueError("a bug")] * 3
    writer.give(batch(0))
    writer.give(batch(1))
    wait_for("the writer", lambda: store.committed == [0, 1], seconds=5)
    assert store.closed == 3  # a new connection for each new try


def test_a_fenced_batch_is_given_back(writer: Writer, store: FakeStore) -> None:
    store.script = [FencedError()]
    writer.give(batch(0))
    assert writer.drain(5)
    (result,) = writer.results()
    assert isinstance(result, Fenced)
    assert result.parts == (PART,)


def test_nothing_holds_a_stored_batch(writer: Writer) -> None:
    class Rows(list[Any]):
        """A list that can be watched."""

    given = batch(0)
    given.access = Rows()
    rows = weakref.ref(given.access)
    writer.give(given)
    del given
    assert writer.drain(5)
    wait_for("the writer", lambda: rows() is None, seconds=5)
    assert writer.results() == [Stored({PART: 1})]


def test_there_is_room_for_two(writer: Writer, store: FakeStore) -> None:
    gate = threading.Event()
    store.script = [gate]
    writer.give(batch(0))
    assert writer.has_room(0)
    writer.give(batch(1))
    assert not writer.has_room(0.05)
    gate.set()
    assert writer.has_room(5)


def test_rings_that_failed_attempts_leave_do_not_pile_up(
    writer: Writer, store: FakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drivers leave connection, error and traceback in a ring, and an outage may take hours."""
    left: list[weakref.ref[Exception]] = []

    def fail(_batch: Batch) -> Outcome:
        error = StoreUnavailableError("gone")
        error.__cause__ = error
        left.append(weakref.ref(error))
        raise error

    gc.disable()
    try:
        with monkeypatch.context() as patched:
            patched.setattr(store, "commit", fail)
            writer.give(batch(0))
            wait_for("the writer", lambda: len(left) > 10, seconds=5)
            assert sum(error() is not None for error in left) <= 2, "the present one, and one being let go"
        wait_for("the writer", lambda: store.committed == [0], seconds=5)
    finally:
        gc.enable()
