"""The alerter's state in one SQLite file; with a changelog the file is a copy of what is in Kafka.

A snapshot holds the windows at one moment with the positions that had been read by then; an alerter that loads it
resumes there. Alerts and their messages are written when they change, in one transaction. So whenever the process
dies, the next one counts every line once, and each decided message is in the outbox exactly once: when lines are read
again, their alerts are already stored.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec

from obsctl.alerter.alerts import Alert, AlertState, Key, Level, Measure
from obsctl.alerter.evaluation.engine import Changes
from obsctl.alerter.history.records import Record
from obsctl.alerter.messages.message import Message
from obsctl.alerter.notify import memory
from obsctl.alerter.notify.memory import Entry
from obsctl.alerter.notify.notification import Notification
from obsctl.alerter.notify.turn import PassOn
from obsctl.alerter.state import outbox, pacing, rows
from obsctl.alerter.state.changelog import VERSION, Changelog
from obsctl.alerter.state.rows import Row
from obsctl.alerter.state.transaction import Connection, connect, note, transaction
from obsctl.core.errors import ConfigError, RefusedError
from obsctl.kafka.topic_incarnation import TopicIncarnation

#: ``next_offset`` is NULL if a log is known but there are no windows for a position: the lines that still count are
#: read again.
_SCHEMA = """
CREATE TABLE position (
  cluster TEXT NOT NULL, topic TEXT NOT NULL, topic_id TEXT NOT NULL, partition INTEGER NOT NULL,
  next_offset INTEGER,
  PRIMARY KEY (cluster, topic, topic_id, partition)
) WITHOUT ROWID;
CREATE TABLE snapshot (id INTEGER PRIMARY KEY CHECK (id = 1), body BLOB NOT NULL);
CREATE TABLE alert (rule TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (rule, key)) WITHOUT ROWID;
CREATE TABLE entry (id TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
"""
#: The fields of the keys in versions 1 and 2, by kind of rule; all other kinds were about the fleet.
_KEYS_BEFORE_3 = {"requests_per_client": "client_addr"}


@dataclass(frozen=True)
class Kept:
    """What an earlier process stored.

    Attributes:
        snapshot: of its windows; empty for none.
        alerts: all of them.
        entries: what the notification stages remember.
    """

    snapshot: bytes
    alerts: list[Alert]
    entries: list[Entry]


class State:
    """The state file, held by one process at a time.

    Args:
        path: created with mode 0600 when absent; its directory must exist.

    Raises:
        ConfigError: the file cannot be created or has another version.
        RefusedError: another alerter holds it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._changelog: Changelog | None = None
        self._lock = _hold(path)
        try:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._connection = connect(path)
            self._prepare()
        except (OSError, sqlite3.Error) as error:
            raise ConfigError(f"the state {path} cannot be used: {error}") from None

    def close(self) -> None:
        """Close the file; another process can then open it."""
        self._connection.close()
        self._lock.close()

    def follow(self, changelog: Changelog, found: list[Row] | None) -> None:
        """Write each change to the changelog from now on, before it is written to the file.

        Args:
            changelog: must have this alerter as its only writer.
            found: the rows that it holds, which replace those of the file; None if no alerter ever wrote all rows:
                then the file's rows are written to it.

        Raises:
            LeadershipLostError: another alerter is the active one.
        """
        if found is None:
            changelog.publish(rows.all_rows(self._connection), whole=True)
        else:
            with transaction(self._connection):
                rows.replace_all(self._connection, found)
        self._connection.close()
        self._changelog = changelog
        self._connection = self.connect()

    def unfollow(self) -> None:
        """Stop writing to the changelog."""
        self._connection.close()
        self._changelog = None
        self._connection = self.connect()

    def connect(self) -> Connection:
        """Open a connection for another thread."""
        return connect(self.path, self._changelog)

    def load(self) -> Kept:
        """Read the windows and the alerts."""
        row = self._connection.execute("SELECT body FROM snapshot").fetchone()
        alerts = self._connection.execute("SELECT body FROM alert ORDER BY rule, key").fetchall()
        entries = self._connection.execute("SELECT body FROM entry ORDER BY id").fetchall()
        return Kept(
            row[0] if row else b"",
            [msgspec.json.decode(body, type=Alert) for (body,) in alerts],
            [memory.decode(body) for (body,) in entries],
        )

    def drop_snapshot(self) -> None:
        """Delete the windows, and with them the positions."""
        with transaction(self._connection):
            self._connection.execute("DELETE FROM snapshot")
            self._connection.execute("UPDATE position SET next_offset = NULL")

    def positions(self, log: TopicIncarnation) -> dict[int, int]:
        """Return the next offset to read, by partition; empty if the windows are not from this log."""
        rows = self._connection.execute(
            "SELECT partition, next_offset FROM position WHERE cluster = ? AND topic = ? AND topic_id = ? "
            "AND next_offset IS NOT NULL",
            log,
        )
        return dict(rows.fetchall())

    def begin(self, log: TopicIncarnation, positions: Mapping[int, int]) -> None:
        """Write where the very first reading begins, so that a crash before the first snapshot does not change it."""
        with transaction(self._connection):
            self._put_positions(log, positions)

    def knows(self, topic: str, cluster: str | None = None) -> bool:
        """Whether a topic of that name was ever read, in that cluster or (None) in any."""
        row = self._connection.execute(
            "SELECT 1 FROM position WHERE topic = ? AND cluster = COALESCE(?, cluster) LIMIT 1", (topic, cluster)
        ).fetchone()
        return row is not None

    def save(
        self,
        changes: Changes,
        remembered: memory.Changes,
        messages: Iterable[tuple[Message, Notification]],
        passed_on: Iterable[PassOn],
        now: float,
        *,
        records: Iterable[Record] = (),
    ) -> None:
        """Write alerts, what the stages remember, and messages in one transaction.

        Args:
            changes: from the engine.
            remembered: from the stages.
            messages: each with its notification, which names the channels.
            passed_on: messages that wait for a channel that cannot deliver, and must go to another one as well.
            now: wall-clock time, seconds since the epoch.
            records: for the history.
        """
        with transaction(self._connection):
            self._connection.executemany(
                "DELETE FROM alert WHERE rule = ? AND key = ?", [(rule, _text(key)) for rule, key in changes.gone]
            )
            self._put_alerts(changes.alerts.values())
            self._connection.executemany(
                "DELETE FROM entry WHERE id = ?", [(entry_id,) for entry_id in remembered.gone]
            )
            self._connection.executemany(
                "INSERT OR REPLACE INTO entry VALUES (?, ?)",
                [(entry_id, memory.encode(entry)) for entry_id, entry in remembered.saved.items()],
            )
            for message, about in messages:
                outbox.put(self._connection, message, about.channels, now, route=about.route)
            for entry in passed_on:
                outbox.pass_on(self._connection, entry.route, entry.channel, entry.to)
            note(self._connection, records)

    def progress(self, message_id: str) -> list[tuple[str, str, int, float]]:
        """Return a message's progress in the outbox (:func:`obsctl.alerter.state.outbox.progress`)."""
        return outbox.progress(self._connection, message_id)

    def save_snapshot(
        self, snapshot: bytes, alerts: Iterable[Alert], reached: Iterable[tuple[TopicIncarnation, Mapping[int, int]]]
    ) -> None:
        """Write the windows at one moment in one transaction.

        Args:
            snapshot: :meth:`Engine.snapshot`.
            alerts: the firing ones, as they are at this moment.
            reached: the logs that are read, with the next offset by partition. Positions of other topics with the same
                name and cluster are deleted, because such topics no longer exist.
        """
        with transaction(self._connection):
            self._connection.execute("INSERT OR REPLACE INTO snapshot VALUES (1, ?)", (snapshot,))
            self._put_alerts(alerts)
            for log, positions in reached:
                if not positions:
                    continue  # rows about an earlier log show that this is not a first start
                self._connection.execute("DELETE FROM position WHERE cluster = ? AND topic = ? AND topic_id != ?", log)
                self._put_positions(log, positions)

    def _put_positions(self, log: TopicIncarnation, positions: Mapping[int, int]) -> None:
        self._connection.executemany(
            "INSERT OR REPLACE INTO position VALUES (?, ?, ?, ?, ?)",
            [(*log, partition, offset) for partition, offset in positions.items()],
        )

    def _put_alerts(self, alerts: Iterable[Alert]) -> None:
        self._connection.executemany(
            "INSERT OR REPLACE INTO alert VALUES (?, ?, ?)",
            [(alert.rule, _text(alert.key), msgspec.json.encode(alert)) for alert in alerts],
        )

    def _prepare(self) -> None:
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version == VERSION:
            return
        if version > VERSION:
            raise ConfigError(
                f"the state {self.path} has version {version}, but this alerter reads {VERSION}",
                hint="install the release that wrote it; or move the file away, and the alerter starts reading "
                "at the topic's end",
            )
        with transaction(self._connection):
            if version == 0:
                self._run(_SCHEMA + outbox.SCHEMA + pacing.SCHEMA)
            else:
                if version < 3:
                    self._migrate_to_3(version)
                else:
                    self._run(outbox.SCHEMA_FROM_3_TO_4)
                self._number_attempts()
            self._connection.execute(f"PRAGMA user_version = {VERSION}")

    def _number_attempts(self) -> None:
        """Give the attempts of an earlier release their primary key."""
        attempts = self._connection.execute("SELECT channel, at FROM attempt ORDER BY at").fetchall()
        self._run("DROP TABLE attempt;" + pacing.ATTEMPTS)
        self._connection.executemany("INSERT INTO attempt (channel, at) VALUES (?, ?)", attempts)

    def _migrate_to_3(self, version: int) -> None:
        """Convert alerts and outbox of an earlier release; the lines that it counted are read again from Kafka."""
        execute = self._connection.execute
        logs = execute(
            f"SELECT DISTINCT cluster, topic, {'topic_id' if version > 1 else chr(39) * 2}, partition FROM position"  # noqa: S608
        ).fetchall()
        alerts = execute(
            "SELECT rule, key, incident, state, started, last_true, peak_total, peak_hits, ended FROM alert"
        ).fetchall()
        self._run("DROP TABLE position;\nDROP TABLE alert;\nDROP TABLE cell;\nDROP TABLE seen;\n" + _SCHEMA)
        # Messages had no ids of their own yet: an incident had one message of each kind.
        execute("ALTER TABLE outbox RENAME TO outbox_2")
        execute("DROP INDEX outbox_open")
        self._run(outbox.SCHEMA)
        execute(
            "INSERT INTO outbox (id, channel, message_id, thread, route, message, state, attempts, unsure, created, "
            "settled) SELECT id, channel, incident || ':' || kind, incident, '', message, state, attempts, unsure, "
            "created, settled FROM outbox_2"
        )
        execute("DROP TABLE outbox_2")
        self._connection.executemany("INSERT INTO position VALUES (?, ?, ?, ?, NULL)", logs)
        self._put_alerts(_alert_before_3(*row) for row in alerts)

    def _run(self, script: str) -> None:
        for statement in script.split(";\n"):
            self._connection.execute(statement)


def _text(key: Key) -> str:
    return msgspec.json.encode(key).decode()


def _alert_before_3(  # noqa: PLR0917  the columns' order
    rule: str,
    key: str,
    incident: str,
    state: str,
    started: int,
    last_true: int,
    lines: int,
    hits: int,
    ended: int,
) -> Alert:
    kind, _, name = rule.partition(":")
    field = _KEYS_BEFORE_3.get(kind)
    share = kind == "status_5xx_share"
    return Alert(
        rule=name,
        kind=kind,
        severity=Level.WARNING,
        labels={field: key} if field else {},
        incident=incident,
        state=AlertState(state),
        started=started,
        last_true=last_true,
        peak=Measure(hits / max(1, lines) if share else float(hits), hits, lines),
        ended=ended,
    )


def _hold(path: Path) -> IO[bytes]:
    """Take the lock that keeps two alerters from using the same state file."""
    try:
        lock = path.with_name(path.name + ".lock").open("ab")
    except OSError as error:
        raise ConfigError(f"the state {path} cannot be used: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise RefusedError(
            f"another obsctl-alerter holds the state {path}", hint="stop it first: systemctl stop obsctl-alerter"
        ) from None
    return lock
