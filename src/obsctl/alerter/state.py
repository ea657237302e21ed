"""The alerter's memory: one SQLite file, and one transaction for all that a batch of lines changed.

Positions, counts, alerts and messages to send move together, so whatever moment the process dies at, the next one
reads on from the same line with the same counts, and a message that was decided is in the outbox exactly once.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from obsctl.alerter import outbox
from obsctl.alerter.engine import Alert, AlertState, Cell, Changes
from obsctl.alerter.log import Log
from obsctl.alerter.message import Message
from obsctl.alerter.window import Count
from obsctl.core.errors import ConfigError, RefusedError

_VERSION = 2
#: How long a writer waits for another one, seconds.
_BUSY_S = 10.0
_POSITION = """
CREATE TABLE position (
  cluster TEXT NOT NULL, topic TEXT NOT NULL, topic_id TEXT NOT NULL, partition INTEGER NOT NULL,
  next_offset INTEGER NOT NULL,
  PRIMARY KEY (cluster, topic, topic_id, partition)
) WITHOUT ROWID;
"""
#: Version 1 did not know topic ids; what it kept becomes the first log's that asks for it.
_FROM_1 = (
    "ALTER TABLE position RENAME TO position_1",
    _POSITION,
    "INSERT INTO position SELECT cluster, topic, '', partition, next_offset FROM position_1",
    "DROP TABLE position_1",
)
_SCHEMA = """
CREATE TABLE cell (
  rule TEXT NOT NULL, key TEXT NOT NULL, second INTEGER NOT NULL, host TEXT NOT NULL,
  total INTEGER NOT NULL, hits INTEGER NOT NULL,
  PRIMARY KEY (rule, key, second, host)
) WITHOUT ROWID;
CREATE INDEX cell_second ON cell (second);
CREATE TABLE seen (identity INTEGER PRIMARY KEY, second INTEGER NOT NULL);
CREATE INDEX seen_second ON seen (second);
CREATE TABLE alert (
  rule TEXT NOT NULL, key TEXT NOT NULL, incident TEXT NOT NULL, state TEXT NOT NULL, started INTEGER NOT NULL,
  last_true INTEGER NOT NULL, peak_total INTEGER NOT NULL, peak_hits INTEGER NOT NULL, ended INTEGER NOT NULL,
  PRIMARY KEY (rule, key)
) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Kept:
    """What an earlier process left.

    Attributes:
        cells: counts, read from the file one by one while they are asked for.
        alerts: all of them.
    """

    cells: Iterator[tuple[Cell, Count]]
    alerts: list[Alert]


def connect(path: Path) -> sqlite3.Connection:
    """Open the state for one thread; transactions are begun and ended explicitly."""
    connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    # A delivered message that a power cut forgets would be sent twice, so each commit reaches the disk.
    connection.execute("PRAGMA synchronous = FULL")
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run the block as one writing transaction."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


class State:
    """The state file, held by one process at a time.

    Args:
        path: created with mode 0600 when absent; its directory must exist.

    Raises:
        ConfigError: the file cannot be made or is of another version.
        RefusedError: another alerter holds it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
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

    def load(self, keep_from: int) -> Kept:
        """Read counts and alerts.

        Args:
            keep_from: counts and identities before this event second are dropped first: after a long rest that is
                nearly all, and what does not fit into memory must not keep the alerter from starting.
        """
        with transaction(self._connection):
            self._forget(keep_from)
        execute = self._connection.execute
        return Kept(
            cells=(
                (Cell(*row[:4]), Count(*row[4:]))
                for row in execute("SELECT rule, key, second, host, total, hits FROM cell")
            ),
            alerts=[
                Alert(rule, key, incident, AlertState(state), started, last, Count(total, hits), ended)
                for rule, key, incident, state, started, last, total, hits, ended in execute(
                    "SELECT rule, key, incident, state, started, last_true, peak_total, peak_hits, ended FROM alert"
                )
            ],
        )

    def known(self, identities: Iterable[int]) -> set[int]:
        """Return those of the identities whose lines were counted before."""
        asked = json.dumps(list(identities))
        rows = self._connection.execute(
            "SELECT identity FROM seen WHERE identity IN (SELECT value FROM json_each(?))", (asked,)
        )
        return {row[0] for row in rows}

    def positions(self, log: Log) -> dict[int, int]:
        """Return the next offset to read, by partition; empty where nothing of this log was read."""
        select = "SELECT partition, next_offset FROM position WHERE cluster = ? AND topic = ? AND topic_id = ?"
        rows = self._connection.execute(select, log).fetchall()
        # Positions of an earlier release have no topic id.
        return dict(rows or self._connection.execute(select, log._replace(topic_id="")).fetchall())

    def knows(self, topic: str, cluster: str | None = None) -> bool:
        """Whether anything was ever read of a topic of that name, in that cluster or (None) in any."""
        row = self._connection.execute(
            "SELECT 1 FROM position WHERE topic = ? AND cluster = COALESCE(?, cluster) LIMIT 1", (topic, cluster)
        ).fetchone()
        return row is not None

    def save(
        self,
        *,
        changes: Changes,
        log: Log | None,
        positions: Mapping[int, int],
        messages: list[Message],
        channels: list[str],
        now: float,
    ) -> None:
        """Write everything in one transaction.

        Args:
            changes: from the engine.
            log: what the positions belong to; None without positions.
            positions: next offset to read, by partition. Those of other topics of the same name and cluster are
                dropped: such a topic was deleted.
            messages: to be sent to each of the channels.
            channels: names.
            now: wall-clock time, seconds since the epoch.
        """
        with transaction(self._connection):
            many = self._connection.executemany
            if log is not None and positions:
                self._connection.execute("DELETE FROM position WHERE cluster = ? AND topic = ? AND topic_id != ?", log)
                many(
                    "INSERT OR REPLACE INTO position VALUES (?, ?, ?, ?, ?)",
                    [(*log, partition, offset) for partition, offset in positions.items()],
                )
            many("DELETE FROM cell WHERE rule = ? AND key = ?", list(changes.evicted))
            many(
                "INSERT INTO cell VALUES (?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (rule, key, second, host) DO UPDATE SET total = excluded.total, hits = excluded.hits",
                [(*cell, *count) for cell, count in changes.cells.items()],
            )
            many("INSERT OR REPLACE INTO seen VALUES (?, ?)", changes.seen)
            many("DELETE FROM alert WHERE rule = ? AND key = ?", list(changes.gone))
            many(
                "INSERT OR REPLACE INTO alert VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (a.rule_id, a.key, a.incident, a.state.value, a.started, a.last_true, *a.peak, a.ended)
                    for a in changes.alerts.values()
                ],
            )
            if changes.keep_from is not None:
                self._forget(changes.keep_from)
            for message in messages:
                outbox.put(self._connection, message, channels, now)

    def _forget(self, keep_from: int) -> None:
        self._connection.execute("DELETE FROM cell WHERE second < ?", (keep_from,))
        self._connection.execute("DELETE FROM seen WHERE second < ?", (keep_from,))

    def _prepare(self) -> None:
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            with transaction(self._connection):
                for statement in (_POSITION + _SCHEMA + outbox.SCHEMA).split(";\n"):
                    self._connection.execute(statement)
                self._connection.execute(f"PRAGMA user_version = {_VERSION}")
        elif version == 1:
            with transaction(self._connection):
                for statement in _FROM_1:
                    self._connection.execute(statement)
                self._connection.execute(f"PRAGMA user_version = {_VERSION}")
        elif version != _VERSION:
            raise ConfigError(
                f"the state {self.path} has version {version}, this alerter reads {_VERSION}",
                hint="install the release that wrote it; or move the file away, then reading begins at the topic's end",
            )


def _hold(path: Path) -> IO[bytes]:
    """Take the lock that keeps two alerters from counting into one state."""
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
