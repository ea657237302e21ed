"""Connections to the database: a few that stay open for short statements, and a separate one for each search."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pymysql

from obsctl.core.errors import ConfigError
from obsctl.core.secrets import redact, resolve
from obsctl.store.mysql import encryption, hints
from obsctl.store.mysql.session import RETRIED
from obsctl.store.settings import Database

T = TypeVar("T")

#: Time limits for connecting and for an answer, seconds; a page waits for the database for at most both together.
_CONNECT_S = 2.0
_ANSWER_S = 3.0
#: How many connections stay open, and after how long without use one is closed instead of used again (seconds). A test
#: of each old one would take the time limit for an answer while the database hangs.
_KEPT = 8
_UNUSED_S = 30.0
#: How often a transaction that loses a deadlock is tried.
_TRIES = 5


class DatabaseAwayError(Exception):
    """The database does not answer, or refuses access; the message says why, without secrets.

    Attributes:
        hint: the next step for the person who runs the console, or an empty string.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class Pool:
    """The console's connections; used by many threads.

    Args:
        database: how to connect; the password is read again for each connection.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._idle: queue.LifoQueue[tuple[Any, float]] = queue.LifoQueue(_KEPT)
        self._closed = threading.Event()

    def run(self, action: Callable[[Any], T]) -> T:
        """Run an action in one transaction and return its result; if it fails, nothing is changed.

        Args:
            action: gets a cursor; it is called again if the transaction lost a deadlock.

        Raises:
            DatabaseAwayError: the database does not answer, or refuses.
        """
        with self._sorted():
            for left in reversed(range(_TRIES)):
                connection = self._taken()
                try:
                    with connection.cursor() as cursor:
                        result = action(cursor)
                    connection.commit()
                except BaseException as error:
                    connection.close()
                    if left and isinstance(error, pymysql.MySQLError) and error.args[:1] and error.args[0] in RETRIED:
                        continue
                    raise
                self._give_back(connection)
                return result
        raise AssertionError("the last try returns or raises")

    @contextlib.contextmanager
    def own(self, seconds: float) -> Iterator[Any]:
        """Yield a connection with autocommit that nobody else uses; it is closed at the end.

        Args:
            seconds: time limit for an answer.

        Raises:
            DatabaseAwayError: the database does not answer, or refuses.
        """
        with self._sorted():
            connection = self._connect(seconds, autocommit=True)
            try:
                yield connection
            finally:
                connection.close()

    def kill(self, number: int) -> None:
        """Kill the statement that another connection runs; if that fails, the statement ends at its own deadline."""
        with contextlib.suppress(DatabaseAwayError), self.own(_ANSWER_S) as connection, connection.cursor() as cursor:
            cursor.execute("KILL QUERY %s", (number,))

    def close(self) -> None:
        """Close the unused connections, and each used one when it is returned."""
        self._closed.set()
        with contextlib.suppress(queue.Empty):
            while True:
                self._idle.get_nowait()[0].close()

    def _taken(self) -> Any:
        with contextlib.suppress(queue.Empty):
            while True:
                connection, used = self._idle.get_nowait()
                if time.monotonic() - used < _UNUSED_S:
                    return connection
                connection.close()
        return self._connect(_ANSWER_S, autocommit=False)

    def _give_back(self, connection: Any) -> None:
        if not self._closed.is_set():
            with contextlib.suppress(queue.Full):
                self._idle.put_nowait((connection, time.monotonic()))
                return
        connection.close()

    def _connect(self, seconds: float, *, autocommit: bool) -> Any:
        wanted = self._database
        connection = pymysql.connect(
            host=wanted.host,
            port=wanted.port,
            user=wanted.user,
            password=resolve(wanted.password).reveal(),
            database=wanted.name,
            charset="utf8mb4",
            autocommit=autocommit,
            connect_timeout=_CONNECT_S,
            read_timeout=seconds,
            write_timeout=seconds,
            ssl=encryption.context(wanted.ca_file),
        )
        try:
            with connection.cursor() as cursor:
                # Times in the tables are UTC.
                cursor.execute("SET time_zone = '+00:00'")
        except BaseException:
            connection.close()
            raise
        return connection

    @contextlib.contextmanager
    def _sorted(self) -> Iterator[None]:
        """Turn a connection's errors into :class:`DatabaseAwayError`."""
        wanted = self._database
        try:
            yield
        except (pymysql.MySQLError, OSError, RuntimeError) as error:
            untrusted = encryption.failure(error, wanted.host, wanted.port, wanted.ca_file)
            if untrusted is not None:
                raise DatabaseAwayError(redact(untrusted.message), untrusted.hint) from None
            if isinstance(error, RuntimeError) and not isinstance(error, pymysql.MySQLError):
                raise
            code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
            words = str(error.args[1] if len(error.args) > 1 else error) or type(error).__name__
            raise DatabaseAwayError(redact(words), hints.hint_for(code)) from None
        except ConfigError as error:
            raise DatabaseAwayError(redact(str(error)), redact(error.hint)) from None
