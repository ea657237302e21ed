"""One connection to the database: opened when needed, with its errors classified, and closed when unusable."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import pymysql

from obsctl.core.errors import ConfigError
from obsctl.core.secrets import redact, resolve
from obsctl.store.interface import StoreUnavailableError
from obsctl.store.mysql import encryption, hints, rows, tables
from obsctl.store.mysql.loading import Loaded, LoadingConnection
from obsctl.store.settings import Database

T = TypeVar("T")

#: Deadlock, lock wait timeout, record changed since the last read: the transaction can be retried.
RETRIED = frozenset({1213, 1205, 1020})
_RETRIES = 20
_CONNECT_S = 5
#: How long a statement may take before the server counts as dead: a partition must not be blocked for the operating
#: system's many minutes.
_IO_S = 60
_STATEMENT_BYTES = 4 * 2**20
#: The part of a packet that is not rows: command, head and tail of the statement.
_PACKET_MARGIN = 16 * 1024
#: With a smaller packet almost no space is left for rows.
_LEAST_PACKET_BYTES = 2 * _PACKET_MARGIN


class ConflictError(StoreUnavailableError):
    """A deadlock or a lock wait timeout ended the transaction; it can be retried."""


class Session:
    """One connection at a time, used by one thread. All methods below ``guard`` need the connection that it opens.

    Args:
        database: how to reach it; the password is read again for each connection.

    Attributes:
        opened: number of connections opened so far.
        loads: whether the server allows LOAD DATA LOCAL.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.opened = 0
        self.loads = False
        self.connection: LoadingConnection | None = None
        self._tables_fit = False
        self._used_at = 0.0
        self._packet_bytes = _STATEMENT_BYTES

    # -- a unit of work ----------------------------------------------------------------------------------------

    def guard(self, action: Callable[[], T]) -> T:
        """Run an action on an open connection and classify its errors; an open transaction is rolled back.

        Raises:
            ConflictError: the action lost a deadlock or waited too long for a lock.
            StoreUnavailableError: the database cannot be used; it is unknown whether the action had an effect.
        """
        try:
            self._open()
            return action()
        except StoreUnavailableError:
            self.close()  # the next connection must be checked again
            raise
        except pymysql.MySQLError as error:
            code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
            if code in RETRIED and self.rollback():
                raise ConflictError(str(error)) from None
            self.close()
            message = redact(str(error.args[1] if len(error.args) > 1 else error))
            raise StoreUnavailableError(f"database error {code}: {message}", hints.hint_of_session(code)) from None
        except (OSError, ConfigError) as error:
            self.close()
            hint = error.hint if isinstance(error, ConfigError) else ""
            raise StoreUnavailableError(redact(str(error)), hint) from None
        except Exception:
            self.rollback()
            raise

    def rollback(self) -> bool:
        """Roll back; return whether the connection still works."""
        try:
            if self.connection is not None:
                self.connection.rollback()
        except (pymysql.MySQLError, OSError):
            self.close()
        return self.connection is not None

    def close(self) -> None:
        """Close the connection; the server rolls back an open transaction. Never raises."""
        if self.connection is not None:
            with contextlib.suppress(pymysql.Error, OSError):
                self.connection.close()
            self.connection = None

    # -- statements --------------------------------------------------------------------------------------------

    def run(self, statement: str | bytes, *, commit: bool = False) -> int:
        """Run a statement; return the number of affected rows."""
        affected = self._connection.query(statement)
        if commit:
            self._connection.commit()
        return affected

    def insert(self, around: tuple[bytes, bytes], literals: Sequence[bytes]) -> int:
        """Insert rows (tuples of literals) between a statement's head and tail; return the number of affected rows."""
        return self.run(around[0] + b",".join(literals) + around[1])

    def select(self, query: str) -> tuple[tuple[Any, ...], ...]:
        """Return the rows of a query. It begins a transaction: end it by ``commit``."""
        with self._connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()

    def read(self, query: str) -> tuple[tuple[Any, ...], ...]:
        """Return the rows of a query in its own transaction: an open one would block changes of its tables."""
        found = self.select(query)
        self.commit()
        return found

    def load(self, statement: bytes, lines: bytes) -> Loaded:
        """Run a LOAD DATA LOCAL with these lines as its file."""
        return self._connection.load(statement, lines, self.row_bytes)

    def commit(self) -> None:
        """Commit the transaction."""
        self._connection.commit()

    def patience(self, seconds: int) -> contextlib.AbstractContextManager[None]:
        """Wait longer for answers inside the block."""
        return self._connection.patience(seconds)

    def require_tables(self) -> None:
        """Check all tables; see :func:`obsctl.store.mysql.tables.require`. The first connection does this by itself."""
        self._tables_fit = False
        tables.require(self, self.database.name, hints.ROLE)
        self._tables_fit = True

    @property
    def row_bytes(self) -> int:
        """Largest row of a statement, bytes."""
        return self._packet_bytes - _PACKET_MARGIN

    @property
    def statement_bytes(self) -> int:
        """How many bytes of rows to put into a statement."""
        return min(_STATEMENT_BYTES, self.row_bytes // 2)

    # -- the connection ----------------------------------------------------------------------------------------

    @property
    def _connection(self) -> LoadingConnection:
        assert self.connection is not None, "statements run inside guard(), which connects"  # noqa: S101
        return self.connection

    def _open(self) -> None:
        now = time.monotonic()
        if self.connection is not None and now - self._used_at < rows.IDLE_SECONDS / 2:
            self._used_at = now
            return
        self.close()  # the server may have closed it already, or do so at any moment
        self._used_at = now
        self.connection = self._connect()
        self.run(rows.SESSION)
        self.run(rows.READ_COMMITTED)
        if not self._tables_fit:
            self.require_tables()
        ((packet, loads),) = self.read("SELECT @@max_allowed_packet,@@local_infile")
        self._packet_bytes, self.loads = int(packet), bool(loads)
        if self._packet_bytes < _LEAST_PACKET_BYTES:
            raise StoreUnavailableError(
                f"the server's max_allowed_packet is {packet} bytes, which is too little for rows",
                "on the database's host: SET GLOBAL max_allowed_packet=16777216, and the same in its configuration",
            )
        self.opened += 1

    def _connect(self) -> LoadingConnection:
        database = self.database
        try:
            return LoadingConnection(
                host=database.host,
                port=database.port,
                user=database.user,
                password=resolve(database.password).reveal(),
                database=database.name,
                charset="utf8mb4",
                autocommit=False,
                connect_timeout=_CONNECT_S,
                read_timeout=_IO_S,
                write_timeout=_IO_S,
                ssl=encryption.context(database.ca_file),
            )
        except (pymysql.MySQLError, RuntimeError) as error:
            failure = encryption.failure(error, database.host, database.port, database.ca_file)
            if failure is None:
                raise
            raise StoreUnavailableError(*failure) from None


def retry_conflicts(action: Callable[[], T]) -> T:
    """Retry a transaction while it conflicts with others, with a short random pause between two tries.

    Raises:
        StoreUnavailableError: it conflicted each time.
    """
    for retry in range(1, _RETRIES + 2):
        try:
            return action()
        except ConflictError as error:
            last = str(error)
        time.sleep(random.uniform(0, 0.01 * min(retry, 10)))  # noqa: S311  spreads, hides nothing
    raise StoreUnavailableError(
        f"the transaction keeps losing deadlocks ({_RETRIES} retries): {last}",
        "on the database's host: SHOW ENGINE INNODB STATUS names the other transaction",
    )
