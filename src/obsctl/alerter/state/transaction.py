"""Transactions over the state file and its changelog; each thread has its own connection."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from obsctl.alerter.history import records as history
from obsctl.alerter.history.records import Record
from obsctl.alerter.state import rows
from obsctl.alerter.state.changelog import Changelog

#: How long a writer waits for another writer, seconds.
_BUSY_S = 10.0


class Connection(sqlite3.Connection):
    """One thread's connection to the state; its transactions are begun and ended explicitly."""

    #: Is given what a transaction changed before the file is; None if there is no changelog.
    changelog: Changelog | None = None
    #: Encoded history records of the open transaction.
    noted: list[bytes]


def connect(path: Path, changelog: Changelog | None = None) -> Connection:
    """Open the state for one thread.

    Args:
        path: of the file.
        changelog: is given each change first.
    """
    connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, factory=Connection)
    connection.execute("PRAGMA journal_mode = WAL")
    # If a power cut undid the record of a delivery, the message would be sent twice; so each commit is flushed to
    # disk.
    connection.execute("PRAGMA synchronous = FULL")
    connection.noted = []
    if changelog is not None:
        connection.changelog = changelog
        rows.watch(connection)
    return connection


@contextmanager
def transaction(connection: Connection) -> Iterator[None]:
    """Run the block as one writing transaction, of the changelog as well if there is one.

    Raises:
        LeadershipLostError: another alerter is the active one; nothing has changed.
    """
    changelog = connection.changelog
    with changelog.turn() if changelog is not None else nullcontext():
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            if changelog is not None:
                changelog.publish(rows.take_touched(connection), history=connection.noted)
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        finally:
            connection.noted = []
        connection.execute("COMMIT")


def note(connection: Connection, records: Iterable[Record]) -> None:
    """Add history records to the open transaction: they are written with its changes, or not at all."""
    connection.noted += [history.encode(record) for record in records]
