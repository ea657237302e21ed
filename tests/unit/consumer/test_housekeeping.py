"""Work beside the stream: when the tables are looked after, what is reported, and how dead letters are sent."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Collection, Iterator
from typing import Any

import pytest
from confluent_kafka import KafkaError

from obsctl.consumer import housekeeping as module
from obsctl.consumer.housekeeping import Housekeeping, seconds_to_upkeep
from obsctl.consumer.telemetry import Telemetry
from obsctl.store.interface import DeadLetter, StoreUnavailableError, Upkeep
from rig.waiting import wait_for
from tests.unit.consumer.settings import kafka


@pytest.mark.parametrize(
    ("clock", "seconds"),
    [("12:00:00", 3600), ("23:00:05", 3600), ("23:30:00", 1805), ("23:59:59", 6), ("00:00:00", 5), ("00:00:05", 3600)],
)
def test_the_upkeep_runs_hourly_and_at_each_new_day(clock: str, seconds: float) -> None:
    assert seconds_to_upkeep(datetime.datetime.fromisoformat(f"2026-03-01T{clock}+00:00")) == seconds


class FakeStore:
    """Answers the upkeep by a script, whose last entry stays; holds dead letters until they are settled."""

    def __init__(self) -> None:
        self.script: list[Upkeep | Exception] = [Upkeep(done=True, ready=True)]
        self.upkeeps = 0
        self.letters: list[DeadLetter] = []
        self.closed = False

    def upkeep(self) -> Upkeep:
        self.upkeeps += 1
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def dead_letters(self, limit: int) -> list[DeadLetter]:
        return self.letters[:limit]

    def settle_dead_letters(self, letters: Collection[DeadLetter]) -> None:
        self.letters = [letter for letter in self.letters if letter not in letters]

    def close(self) -> None:
        self.closed = True


class FakeProducer:
    """Delivers at the flush: what is larger than the limit is refused, and everything while the brokers are down."""

    limit = 1000
    away = False

    def __init__(self, _settings: Any) -> None:
        self.sent: list[dict[str, Any]] = []
        self._waiting: list[tuple[dict[str, Any], Callable[..., None]]] = []

    def produce(self, topic: str, *, on_delivery: Callable[..., None], **record: Any) -> None:
        self._waiting.append(({"topic": topic, **record}, on_delivery))

    def flush(self, _timeout: float) -> None:
        for record, on_delivery in self._waiting:
            if self.away:
                on_delivery(KafkaError(KafkaError._MSG_TIMED_OUT), None)
            elif len(record["value"] or b"") > self.limit:
                on_delivery(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE), None)
            else:
                self.sent.append(record)
                on_delivery(None, None)
        self._waiting.clear()


def letter(number: int, value: bytes | None = b"x") -> DeadLetter:
    return DeadLetter(bytes([number]), "nginxlog", 2, number, "json", "node1", "parse", "why", value)


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


@pytest.fixture
def producers(monkeypatch: pytest.MonkeyPatch) -> list[FakeProducer]:
    made: list[FakeProducer] = []

    def make(settings: Any) -> FakeProducer:
        made.append(FakeProducer(settings))
        return made[-1]

    monkeypatch.setattr(module.confluent_kafka, "Producer", make)
    return made


@pytest.fixture
def housekeeping(
    store: FakeStore, telemetry: Telemetry, producers: list[FakeProducer], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Housekeeping]:
    monkeypatch.setattr(module.Backoff, "delay", lambda _: 0.01)
    made = Housekeeping(store, kafka(), telemetry)  # type: ignore[arg-type]
    yield made
    made.stop(5)
    assert store.closed


def test_lines_may_come_when_today_has_its_partitions(housekeeping: Housekeeping, telemetry: Telemetry) -> None:
    assert not housekeeping.ready()
    housekeeping.start()
    wait_for("the state", housekeeping.ready, seconds=5)
    wait_for("the state", lambda: telemetry.troubles == {}, seconds=5)


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (StoreUnavailableError("the database is away", "start it"), "is away"),
        (ZeroDivisionError("x"), "internal error"),
    ],
)
def test_an_upkeep_that_fails_is_a_trouble_until_it_succeeds(
    housekeeping: Housekeeping, store: FakeStore, telemetry: Telemetry, failure: Exception, words: str
) -> None:
    store.script = [failure]
    housekeeping.start()
    wait_for("the state", lambda: words in telemetry.troubles["upkeep"].message, seconds=5)
    assert not housekeeping.ready()
    store.script = [Upkeep(done=True, ready=True)]
    wait_for("the state", housekeeping.ready, seconds=5)
    wait_for("the state", lambda: telemetry.troubles == {}, seconds=5)


def test_a_table_that_is_held_is_named_and_lines_may_come_all_the_same(
    housekeeping: Housekeeping, store: FakeStore, telemetry: Telemetry
) -> None:
    store.script = [Upkeep(done=True, ready=True, busy=("access_log", "error_log"))]
    housekeeping.start()
    wait_for("the state", housekeeping.ready, seconds=5)
    wait_for(
        "the state",
        lambda: "access_log, error_log blocks ALTER TABLE" in telemetry.troubles["upkeep"].message,
        seconds=5,
    )
    assert "SHOW FULL PROCESSLIST" in telemetry.troubles["upkeep"].hint


def test_another_process_at_the_upkeep_is_no_proof_that_it_is_done(
    housekeeping: Housekeeping, store: FakeStore, telemetry: Telemetry
) -> None:
    store.script = [StoreUnavailableError("timed out"), Upkeep(done=False, ready=False)]
    housekeeping.start()
    wait_for("the state", lambda: store.upkeeps > 3, seconds=5)
    assert telemetry.troubles["upkeep"].message == "timed out"


def test_another_process_that_has_not_made_the_partitions_yet_is_waited_for(
    housekeeping: Housekeeping, store: FakeStore, telemetry: Telemetry
) -> None:
    store.script = [Upkeep(done=False, ready=False)]
    housekeeping.start()
    wait_for("the state", lambda: store.upkeeps > 3, seconds=5)
    assert "have not been checked yet" in telemetry.troubles["upkeep"].message
    store.script = [Upkeep(done=False, ready=True)]
    wait_for("the state", lambda: telemetry.troubles == {}, seconds=5)
    assert housekeeping.ready()


def test_rows_of_the_catch_all_partition_are_counted(
    housekeeping: Housekeeping, store: FakeStore, telemetry: Telemetry
) -> None:
    store.script = [Upkeep(done=True, ready=True, beyond={"access_log": 3})]
    housekeeping.start()
    wait_for("the state", lambda: telemetry.beyond == {"access_log": 3}, seconds=5)


def test_every_letter_is_sent_once(
    housekeeping: Housekeeping, store: FakeStore, telemetry: Telemetry, producers: list[FakeProducer]
) -> None:
    store.letters = [letter(number) for number in range(250)]
    housekeeping.start()
    wait_for("the state", lambda: store.letters == [], seconds=5)
    (producer,) = producers
    assert [record["key"] for record in producer.sent] == [bytes([n]).hex() for n in range(250)]
    assert {record["topic"] for record in producer.sent} == {"nginxlog-dlq"}
    assert dict(producer.sent[7]["headers"])["obs.offset"] == b"7"
    wait_for("the state", lambda: telemetry.dead_letters == 250, seconds=5)


def test_a_letter_that_no_broker_takes_is_sent_without_its_value(
    housekeeping: Housekeeping, store: FakeStore, producers: list[FakeProducer]
) -> None:
    store.letters = [letter(1, b"x" * 5000), letter(2)]
    housekeeping.start()
    wait_for("the state", lambda: store.letters == [], seconds=5)
    small, large = producers[0].sent
    assert (small["key"], large["key"], large["value"]) == ("02", "01", None)
    assert ("obs.value_omitted", b"too large") in large["headers"]


def test_letters_stay_due_while_the_brokers_are_away(
    housekeeping: Housekeeping, store: FakeStore, producers: list[FakeProducer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeProducer, "away", True)
    store.letters = [letter(1)]
    housekeeping.start()
    wait_for("the state", lambda: bool(producers) and housekeeping.ready(), seconds=5)
    assert store.letters == [letter(1)]
    monkeypatch.setattr(FakeProducer, "away", False)
    housekeeping.letters_due()
    wait_for("the state", lambda: store.letters == [], seconds=5)
