"""What the changelog gets is the file: another one that is filled from it holds the same rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from obsctl.alerter.channels.outcome import Delivery, Verdict
from obsctl.alerter.config import KafkaConfig
from obsctl.alerter.evaluation.engine import Changes
from obsctl.alerter.history.records import Lost, Omitted, Record, decode, encode
from obsctl.alerter.messages.message import Kind, Message
from obsctl.alerter.messages.templates import Templates
from obsctl.alerter.notify import memory
from obsctl.alerter.state import changelog, outbox, rows
from obsctl.alerter.state.changelog import VERSION, Changelog, LeadershipLostError, records_of, rows_of
from obsctl.alerter.state.outbox import Parcel
from obsctl.alerter.state.rows import Row
from obsctl.alerter.state.state_file import State
from obsctl.alerter.state.transaction import transaction
from obsctl.core.errors import ConfigError
from obsctl.core.kafka_section import Topics
from obsctl.kafka import topic_log
from obsctl.kafka.topic_incarnation import TopicIncarnation
from obsctl.kafka.topic_log import NotAnsweredError, TopicMissingError
from tests.unit.alerter.builders import T, engine, event

LOG = TopicIncarnation("cluster", "nginxlog", "first-id")
COMPLETE = {b'["complete"]': VERSION.to_bytes()}


class Topic:
    """A compacted topic that refuses when the test says so."""

    def __init__(self) -> None:
        self.records: dict[bytes, bytes] = {}
        self.history: list[bytes] = []
        self.whole = 0
        self.fenced = False

    @contextmanager
    def turn(self) -> Iterator[None]:
        yield

    def publish(self, changed: Iterable[Row], *, history: Sequence[bytes] = (), whole: bool = False) -> None:
        if self.fenced:
            raise LeadershipLostError("fenced")
        self.history += history
        self.whole += whole
        for row in changed:
            for key, value in records_of(row):
                if value is None:
                    self.records.pop(key, None)
                else:
                    self.records[key] = value

    def rows(self) -> list[Row]:
        found = rows_of(self.records | COMPLETE)
        assert found is not None
        return found


def followed(path: Path, found: list[Row] | None = None) -> tuple[State, Any]:
    state, topic = State(path), Topic()
    state.follow(topic, found)  # type: ignore[arg-type]
    return state, topic


def message(number: int) -> Message:
    return Message(id=f"m{number}", kind=Kind.FIRING, title="规则 203.0.113.9 \N{SNOWMAN} ' \" ;")


TEMPLATES = Templates()


def held(state: State) -> list[Row]:
    return sorted(rows.all_rows(state._connection), key=repr)


def test_a_file_that_is_filled_from_the_topic_holds_the_same(tmp_path: Path) -> None:
    state, topic = followed(tmp_path / "one.db")
    machine = engine()
    robot = state.connect()
    for second in range(40):
        machine.feed([event(second + n / 100, client=f"192.0.2.{second % 7}") for n in range(100)], T + second)
        with transaction(state._connection):
            state._put_alerts(machine.take_changes().alerts.values())
        with transaction(robot):
            outbox.put(robot, message(second), ["robot", "mail"], T + second)
            parcel = outbox.claim(robot, "robot", 18, T + second, TEMPLATES)
        if isinstance(parcel, Parcel):
            verdict = Verdict.DELIVERED if second % 3 else Verdict.UNREACHABLE
            with transaction(robot):
                outbox.settle(robot, "robot", parcel, Delivery(verdict, "0", "errcode 0"), T + second)
        state.save_snapshot(machine.snapshot(), machine.firing.values(), [(LOG, {0: second})])
    other, _ = followed(tmp_path / "two.db", topic.rows())
    assert held(other) == held(state)
    assert {row.table for row in held(state)} == {"alert", "attempt", "outbox", "pace", "position", "snapshot"}


def test_a_row_that_is_deleted_is_deleted_there(tmp_path: Path) -> None:
    state, topic = followed(tmp_path / "one.db")
    state.begin(LOG, {0: 7})
    state.save_snapshot(b"x" * 2_000_000, [], [(LOG, {0: 9})])
    assert len(topic.records) == 1 + 3
    state.save_snapshot(b"short", [], [(LOG._replace(topic_id="second-id"), {1: 2})])
    state.drop_snapshot()
    other, _ = followed(tmp_path / "two.db", topic.rows())
    assert held(other) == held(state)
    assert other.load().snapshot == b""
    assert other.knows("nginxlog")


def test_a_long_row_that_became_short_is_read_as_the_short_one(tmp_path: Path) -> None:
    state, topic = followed(tmp_path / "one.db")
    state.save_snapshot(b"x" * 2_000_000, [], [])
    state.save_snapshot(b"short", [], [])
    other, _ = followed(tmp_path / "two.db", topic.rows())
    assert other.load().snapshot == b"short"


def test_what_the_topic_refuses_is_not_in_the_file_either(tmp_path: Path) -> None:
    state, topic = followed(tmp_path / "one.db")
    state.begin(LOG, {0: 7})
    topic.fenced = True
    with pytest.raises(LeadershipLostError):
        state.begin(LOG, {0: 8})
    assert state.positions(LOG) == {0: 7}


def test_a_topic_that_never_got_a_whole_file_gets_one(tmp_path: Path) -> None:
    state = State(tmp_path / "one.db")
    state.begin(LOG, {0: 7})
    topic: Any = Topic()
    state.follow(topic, None)
    assert topic.whole == 1
    other, _ = followed(tmp_path / "two.db", topic.rows())
    assert other.positions(LOG) == {0: 7}


def test_what_another_host_left_replaces_what_lies_here(tmp_path: Path) -> None:
    old = State(tmp_path / "two.db")
    old.begin(LOG, {5: 5})
    old.close()
    state, topic = followed(tmp_path / "one.db")
    state.begin(LOG, {0: 7})
    other, _ = followed(tmp_path / "two.db", topic.rows())
    assert other.positions(LOG) == {0: 7}


def test_a_topic_without_a_whole_file_is_told_from_an_empty_one() -> None:
    state_row = Row("entry", ("a",), ("a", b"body"))
    records = {key: value for key, value in records_of(state_row) if value is not None}
    assert rows_of(records) is None
    assert rows_of(COMPLETE) == []


def test_the_state_of_another_release_is_refused() -> None:
    with pytest.raises(ConfigError, match="has version 99"):
        rows_of({b'["complete"]': (99).to_bytes()})


def test_the_history_gets_what_was_written_and_nothing_else(tmp_path: Path) -> None:
    state, topic = followed(tmp_path / "one.db")
    records = [Omitted(at=T, what="started", rule=f"r{n}", records=1) for n in range(3)]

    def broken() -> Iterator[Record]:
        yield records[0]
        raise RuntimeError

    nothing = memory.Changes({}, ())
    with pytest.raises(RuntimeError):
        state.save(Changes(), nothing, [], [], T, records=broken())
    state.save(Changes(), nothing, [], [], T, records=records[1:2])
    topic.fenced = True
    with pytest.raises(LeadershipLostError):
        state.save(Changes(), nothing, [], [], T, records=records[2:])
    assert [decode(body) for body in topic.history] == records[1:2]


class Brokers(Changelog):
    """A changelog whose transactions fail as often as the test says, without a network."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fails: int = 0) -> None:
        topics = Topics(access="a", error="e", state="s", silences="q", history="h")
        super().__init__(KafkaConfig(bootstrap=("127.0.0.1:1",), group="g", member="m", topics=topics), lambda: None)
        self.fails, self.asked, self.written = fails, 0, list[bytes]()
        self.answer: Exception | None = None
        monkeypatch.setattr(topic_log, "check_writable", self._asked)
        monkeypatch.setattr(changelog, "_PAUSE_S", 0.0)

    def _asked(self, *_: object) -> None:
        self.asked += 1
        if self.answer is not None:
            raise self.answer

    def _try(self, records: list[tuple[bytes, bytes | None]], reports: Sequence[bytes]) -> bool:
        self.fails -= 1
        if self.fails >= 0:
            return False
        self.written += reports
        return True


def report() -> bytes:
    return encode(Omitted(at=T, what="started", rule="r", records=1))


def test_what_a_missing_topic_loses_is_counted_once_however_often_the_state_is_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    brokers = Brokers(monkeypatch, fails=3)
    brokers.answer = TopicMissingError("none")
    brokers.publish([Row("entry", ("a",), None)], history=[report()])
    brokers.publish([Row("entry", ("b",), None)], history=[report(), report()])
    assert (brokers.history.lost, brokers.written, brokers.asked) == (3, [], 1)


def test_the_history_says_what_it_lost_when_it_has_a_topic_again(monkeypatch: pytest.MonkeyPatch) -> None:
    brokers = Brokers(monkeypatch)
    brokers.answer = TopicMissingError("none")
    brokers.publish([], history=[report(), report()])
    brokers.answer, brokers.history.not_before = None, 0.0
    brokers.publish([], history=[report()])
    lost, kept = map(decode, brokers.written)
    assert isinstance(lost, Lost)
    assert (lost.records, type(kept)) == (2, Omitted)


def test_brokers_that_do_not_answer_cost_no_record(monkeypatch: pytest.MonkeyPatch) -> None:
    brokers = Brokers(monkeypatch, fails=2)
    brokers.answer = NotAnsweredError("away")
    brokers.publish([], history=[report()])
    assert (brokers.history.lost, len(brokers.written)) == (0, 1)
