"""The state file: all or nothing, and one holder."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from obsctl.alerter.alerts import AlertState, Level, Measure
from obsctl.alerter.evaluation.engine import Engine
from obsctl.alerter.messages.message import Kind, Message
from obsctl.alerter.messages.templates import Templates
from obsctl.alerter.notify import memory
from obsctl.alerter.notify.notification import Notification, Reason
from obsctl.alerter.state import outbox
from obsctl.alerter.state.state_file import Kept, State
from obsctl.alerter.state.transaction import connect
from obsctl.core.errors import ConfigError, RefusedError
from obsctl.kafka.topic_incarnation import TopicIncarnation
from tests.unit.alerter.builders import T, engine, event, rate

LOG = TopicIncarnation("cluster", "nginxlog", "first-id")
NOTIFICATION = Notification(
    id="1", thread="2", reason=Reason.FIRST, route="default", channels=("robot",), labels={}, severity=Level.INFO,
    at=T, since=T, total=1, alerts=(),
)  # fmt: skip


def snapshot(state: State, machine: Engine, offset: int) -> None:
    state.save_snapshot(machine.snapshot(), machine.firing.values(), [(LOG, {0: offset})])


def save(state: State, machine: Engine, *messages: Message) -> None:
    state.save(machine.take_changes(), memory.Changes({}, ()), [(one, NOTIFICATION) for one in messages], [], T)


def restored(state: State) -> Engine:
    machine, kept = engine(), state.load()
    assert machine.restore(kept.snapshot, T + 6)
    machine.take_over(kept.alerts)
    return machine


def test_an_engine_restored_from_the_file_goes_on_where_the_first_one_was(tmp_path: Path) -> None:
    state = State(tmp_path / "state.db")
    first = engine()
    first.feed([event(n / 20) for n in range(99)], T + 5)
    snapshot(state, first, 99)
    state.close()
    state = State(tmp_path / "state.db")
    second = restored(state)
    assert state.positions(LOG) == {0: 99}
    assert state.positions(LOG._replace(cluster="another")) == {}
    (start,) = second.feed([event(5)], T + 6)
    save(state, second)
    third = restored(state)
    assert [alert.incident for alert in third.firing.values()] == [start.alert.incident]
    assert third.feed([event(5)], T + 6) == []
    state.close()


def test_a_condition_that_goes_on_is_written_with_the_windows(tmp_path: Path) -> None:
    state = State(tmp_path / "state.db")
    machine = engine()
    machine.feed([event(n / 100) for n in range(100)], T + 5)
    save(state, machine)
    machine.feed([event(n / 100) for n in range(50)], T + 5)
    assert not machine.take_changes()
    snapshot(state, machine, 150)
    assert [alert.peak.hits for alert in restored(state).firing.values()] == [150]
    state.close()


def test_a_transaction_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    state = State(path)
    machine = engine(rate(1))
    machine.feed([event(0)], T)
    message = Message(id="1", kind=Kind.FIRING, title="one")
    with pytest.raises(sqlite3.Error):
        save(state, machine, message, replace(message, id=None))
    assert state.load() == Kept(b"", [], [])
    look = connect(path)
    assert look.execute("SELECT COUNT(*) FROM outbox").fetchone() == (0,)
    look.close()
    state.close()


def test_what_an_alert_concerns_may_be_any_text(tmp_path: Path) -> None:
    state = State(tmp_path / "state.db")
    machine = engine(rate(1))
    machine.feed([event(0, client=text) for text in ("", "\0", "ü\n'\"", "x" * 255)], T)
    save(state, machine)
    assert {alert.key for alert in state.load().alerts} == {("\0",), ("ü\n'\"",), ("x" * 255,)}
    state.close()


def test_without_its_windows_no_position_is_known_and_it_is_no_first_start(tmp_path: Path) -> None:
    state = State(tmp_path / "state.db")
    snapshot(state, engine(), 99)
    state.drop_snapshot()
    assert (state.positions(LOG), state.knows("nginxlog", "cluster"), state.load().snapshot) == ({}, True, b"")
    state.close()


def test_the_file_is_private_and_has_one_holder(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    state = State(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(RefusedError, match="another obsctl-alerter"):
        State(path)
    state.close()
    State(path).close()


def test_a_state_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    State(path).close()
    other = connect(path)
    other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(ConfigError, match="version 99"):
        State(path)


def test_a_topic_that_was_created_again_has_no_positions_and_the_first_ones_are_dropped_with_its_own(
    tmp_path: Path,
) -> None:
    state = State(tmp_path / "state.db")
    again, elsewhere = LOG._replace(topic_id="second-id"), LOG._replace(cluster="another")
    state.save_snapshot(b"", [], [(LOG, {0: 500})])
    state.save_snapshot(b"", [], [(elsewhere, {0: 7})])
    assert state.positions(again) == {}
    state.save_snapshot(b"", [], [(again, {})])
    assert state.knows("nginxlog", "cluster")
    state.save_snapshot(b"", [], [(again, {0: 3})])
    assert (state.positions(again), state.positions(LOG), state.positions(elsewhere)) == ({0: 3}, {}, {0: 7})
    assert not state.knows("other")
    state.close()


#: What the releases before this one kept.
BEFORE_3 = """
CREATE TABLE cell (rule TEXT, key TEXT, second INTEGER, host TEXT, total INTEGER, hits INTEGER);
CREATE INDEX cell_second ON cell (second);
CREATE TABLE seen (identity INTEGER PRIMARY KEY, second INTEGER NOT NULL);
CREATE TABLE alert (
  rule TEXT, key TEXT, incident TEXT, state TEXT, started INTEGER, last_true INTEGER, peak_total INTEGER,
  peak_hits INTEGER, ended INTEGER
);
CREATE TABLE outbox (
  id INTEGER PRIMARY KEY AUTOINCREMENT, channel TEXT NOT NULL, incident TEXT NOT NULL, kind TEXT NOT NULL,
  message BLOB NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, unsure INTEGER NOT NULL DEFAULT 0,
  created REAL NOT NULL, settled REAL, UNIQUE (channel, incident, kind)
);
CREATE INDEX outbox_open ON outbox (channel, attempts, id) WHERE state IN ('pending', 'sending');
CREATE TABLE attempt (channel TEXT NOT NULL, at REAL NOT NULL);
CREATE TABLE pace (
  channel TEXT PRIMARY KEY, failures INTEGER NOT NULL, next_try REAL NOT NULL, verdict TEXT NOT NULL,
  code TEXT NOT NULL, summary TEXT NOT NULL, at REAL NOT NULL
) WITHOUT ROWID;
INSERT INTO alert VALUES ('requests_per_client:rate', '203.0.113.9', 'abc', 'firing', 10, 20, 200, 200, 0);
INSERT INTO alert VALUES ('status_5xx_share:share', 'fleet', 'def', 'ended', 10, 20, 200, 50, 40);
"""
POSITIONS = {
    1: "CREATE TABLE position (cluster TEXT, topic TEXT, partition INTEGER, next_offset INTEGER);"
    "INSERT INTO position VALUES ('cluster', 'nginxlog', 0, 41), ('cluster', 'nginxlog', 1, 42);",
    2: "CREATE TABLE position (cluster TEXT, topic TEXT, topic_id TEXT, partition INTEGER, next_offset INTEGER);"
    "INSERT INTO position VALUES ('cluster', 'nginxlog', 'first-id', 0, 41);",
}


@pytest.mark.parametrize("version", POSITIONS)
def test_alerts_and_messages_of_an_earlier_release_are_taken_over(tmp_path: Path, version: int) -> None:
    path = tmp_path / "state.db"
    old = connect(path)
    old.executescript(BEFORE_3 + POSITIONS[version])
    old.execute(
        "INSERT INTO outbox (channel, incident, kind, message, state, created) VALUES ('robot', 'abc', 'firing', ?, "
        "'pending', ?)",
        (msgspec.json.encode(Message(id="abc", kind=Kind.FIRING, title="one")), T),
    )
    old.execute(f"PRAGMA user_version = {version}")
    old.close()
    state = State(path)
    firing, ended = state.load().alerts
    assert (firing.rule, firing.labels, firing.incident, firing.peak) == (
        "rate",
        {"client_addr": "203.0.113.9"},
        "abc",
        Measure(200, 200, 200),
    )
    assert (ended.rule, ended.labels, ended.state, ended.peak) == (
        "share",
        {},
        AlertState.ENDED,
        Measure(0.25, 50, 200),
    )
    # Its counts are not taken over: what still counts is read again.
    assert (state.positions(LOG), state.knows("nginxlog", "cluster"), state.load().snapshot) == ({}, True, b"")
    look = connect(path)
    parcel = outbox.claim(look, "robot", 18, T, Templates())
    assert isinstance(parcel, outbox.Parcel)
    assert parcel.message.title == "one"
    look.close()
    state.close()
    State(path).close()


def test_messages_of_version_3_are_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    State(path).close()
    look = connect(path)
    wanted = [row[1:3] for row in look.execute("PRAGMA table_info(outbox)")]
    look.execute("DROP INDEX outbox_settled")
    for column in ("refusals", "refused_since", "refused_at"):
        look.execute(f"ALTER TABLE outbox DROP COLUMN {column}")
    outbox.put(look, Message(id="abc", kind=Kind.FIRING, title="one"), ["robot"], T)
    look.execute("PRAGMA user_version = 3")
    look.close()
    State(path).close()
    look = connect(path)
    assert sorted(row[1:3] for row in look.execute("PRAGMA table_info(outbox)")) == sorted(wanted)
    assert isinstance(outbox.claim(look, "robot", 18, T, Templates()), outbox.Parcel)
    assert outbox.dead_letters(look, "robot", T).number == 0
    look.close()


def test_a_missing_directory_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be used"):
        State(tmp_path / "absent" / "state.db")
