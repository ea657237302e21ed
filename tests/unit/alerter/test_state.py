"""The state file: all or nothing, and one holder."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest

from obsctl.alerter.engine import Changes, Engine
from obsctl.alerter.log import Log
from obsctl.alerter.message import Kind, Message
from obsctl.alerter.state import State, connect
from obsctl.core.errors import ConfigError, RefusedError
from tests.unit.alerter.builders import T, engine, event, rate

LOG = Log("cluster", "nginxlog", "first-id")


def saved(state: State, changes: Changes, offset: int, *messages: Message) -> None:
    state.save(changes=changes, log=LOG, positions={0: offset}, messages=list(messages), channels=["robot"], now=T)


def test_an_engine_restored_from_the_file_goes_on_where_the_first_one_was(tmp_path: Path) -> None:
    state = State(tmp_path / "state.db")
    first = engine()
    first.feed([event(n / 20) for n in range(99)], T + 5)
    saved(state, first.take_changes(), 99)
    state.close()
    state = State(tmp_path / "state.db")
    second = engine()
    kept = state.load(T - 361)
    second.restore(kept.cells, kept.alerts, T + 6)
    assert state.positions(LOG) == {0: 99}
    assert state.positions(LOG._replace(cluster="another")) == {}
    (start,) = second.feed([event(5)], T + 6)
    saved(state, second.take_changes(), 100)
    third = engine()
    kept = state.load(T - 361)
    third.restore(kept.cells, kept.alerts, T + 6)
    assert [alert.incident for alert in third.firing] == [start.alert.incident]
    state.close()


def test_a_transaction_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    state = State(path)
    machine = engine()
    machine.feed([event(0)], T)
    changes = machine.take_changes()
    message = Message(id="1", kind=Kind.FIRING, title="one")
    changes.seen.append((None, 0))  # type: ignore[arg-type]
    changes.seen.append(("no number", 0))  # type: ignore[arg-type]
    with pytest.raises(sqlite3.Error):
        saved(state, changes, 1, message)
    look = connect(path)
    assert state.positions(LOG) == {}
    assert look.execute("SELECT COUNT(*) FROM cell").fetchone() == (0,)
    assert look.execute("SELECT COUNT(*) FROM outbox").fetchone() == (0,)
    look.close()
    state.close()


def test_old_counts_leave_the_file(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    state = State(path)
    machine = engine()
    line = event(0)
    machine.feed([line], T)
    saved(state, machine.take_changes(), 1)
    machine.tick(None, T + 1000)
    saved(state, machine.take_changes(), 1)
    assert list(state.load(0).cells) == []
    assert state.known([line.identity]) == set()
    state.close()


def test_what_is_too_old_is_dropped_before_anything_is_loaded(tmp_path: Path) -> None:
    state = State(tmp_path / "state.db")
    machine = engine()
    lines = [event(0), event(100)]
    machine.feed(lines, T + 100)
    saved(state, machine.take_changes(), 2)
    assert [cell.second for cell, _ in state.load(T + 1).cells] == [T + 100]
    assert state.known([line.identity for line in lines]) == {lines[1].identity}
    state.close()


def test_a_line_that_was_counted_is_known_to_the_next_process(tmp_path: Path) -> None:
    state = State(tmp_path / "state.db")
    machine = engine()
    machine.feed([event(0, identity=-(2**63)), event(0, identity=2**63 - 1)], T)
    saved(state, machine.take_changes(), 2)
    assert state.known([-(2**63), 7, 2**63 - 1]) == {-(2**63), 2**63 - 1}
    state.close()


def test_counts_that_made_room_leave_the_file_and_new_ones_of_the_same_key_stay(tmp_path: Path) -> None:
    state = State(tmp_path / "state.db")
    machine = Engine((rate(),), lateness_s=300, ahead_s=60, most_keys=2)
    machine.feed([event(0, client="a"), event(1, client="b")], T)
    saved(state, machine.take_changes(), 2)
    machine.feed([event(2, client="c"), event(2, client="c"), event(2, client="c"), event(3, client="a")], T)
    saved(state, machine.take_changes(), 6)
    assert sorted((cell.key, cell.second - T) for cell, _ in state.load(0).cells) == [("a", 3), ("c", 2)]
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


def test_a_topic_that_was_made_again_has_no_positions_and_the_first_ones_are_dropped_with_its_own(
    tmp_path: Path,
) -> None:
    state = State(tmp_path / "state.db")
    again, elsewhere = LOG._replace(topic_id="second-id"), LOG._replace(cluster="another")
    saved(state, Changes(), 500)
    state.save(changes=Changes(), log=elsewhere, positions={0: 7}, messages=[], channels=[], now=T)
    assert state.positions(again) == {}
    assert state.knows("nginxlog", "cluster")
    state.save(changes=Changes(), log=again, positions={0: 3}, messages=[], channels=[], now=T)
    assert (state.positions(again), state.positions(LOG), state.positions(elsewhere)) == ({0: 3}, {}, {0: 7})
    assert not state.knows("other")
    state.close()


def test_the_positions_of_the_first_release_become_the_first_logs_that_asks(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    State(path).close()
    old = connect(path)
    old.execute("DROP TABLE position")
    old.execute(
        "CREATE TABLE position (cluster TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL, "
        "next_offset INTEGER NOT NULL, PRIMARY KEY (cluster, topic, partition)) WITHOUT ROWID"
    )
    old.execute("INSERT INTO position VALUES ('cluster', 'nginxlog', 0, 41), ('cluster', 'nginxlog', 1, 42)")
    old.execute("PRAGMA user_version = 1")
    old.close()
    state = State(path)
    assert state.positions(LOG) == {0: 41, 1: 42}
    state.save(changes=Changes(), log=LOG, positions={0: 50, 1: 42}, messages=[], channels=[], now=T)
    assert state.positions(LOG._replace(topic_id="second-id")) == {}
    state.close()


def test_a_missing_directory_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be used"):
        State(tmp_path / "absent" / "state.db")
