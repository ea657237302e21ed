"""Queries the database as the reading user."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, TypeVar

from obsctl.checks.consumer.loss import StoredLoss
from obsctl.checks.health.snapshot import DatabaseProbe
from obsctl.core.deadline import Deadline
from obsctl.core.errors import ConfigError
from obsctl.core.secrets import redact, resolve
from obsctl.fleet.model import Fleet
from obsctl.store.mysql import encryption, questions
from obsctl.store.mysql.hints import hint_for

#: Time limits in seconds: for connecting, and for all queries together.
_CONNECT_S = 3.0
_DEADLINE_S = 6.0

T = TypeVar("T")


def probe(fleet: Fleet, *, deadline_s: float | None = None) -> DatabaseProbe:
    """Query the database of the fleet; an error is put into the probe's ``failure``.

    Args:
        deadline_s: as for :func:`ask`.
    """
    try:
        return ask(fleet, _probe, deadline_s=deadline_s)
    except NotAskedError as error:
        return DatabaseProbe(asked=False, failure=str(error), hint=error.hint)
    except SilentError as error:
        return DatabaseProbe(failure=str(error), hint=error.hint, untrusted=error.untrusted)


class NotAskedError(Exception):
    """The reading user's password, or the CA file for the server's certificate, cannot be read here.

    Attributes:
        hint: what to do.
    """

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class SilentError(Exception):
    """The database did not answer the queries; the message says why, without secrets.

    Attributes:
        hint: what to do if the server itself refused; empty otherwise.
        untrusted: whether it answers, but not over a trusted TLS connection.
    """

    def __init__(self, message: str, hint: str = "", *, untrusted: bool = False) -> None:
        super().__init__(message)
        self.hint = hint
        self.untrusted = untrusted


def ask(fleet: Fleet, question: Callable[[Any], T], *, deadline_s: float | None = None) -> T:
    """Have a function query the database of the fleet as the reading user.

    After Ctrl-C the running statement is killed on the server.

    Args:
        question: gets a cursor.
        deadline_s: time limit for all of it, seconds; six by default.

    Raises:
        NotAskedError: the reading user's password, or the CA file for the server's certificate, cannot be read here.
        SilentError: the database does not answer.
    """
    import pymysql

    wanted, role = fleet.database, fleet.playbook("mysql")
    seconds = _DEADLINE_S if deadline_s is None else deadline_s
    try:
        password = resolve(wanted.reader_password).reveal()
        context = encryption.context(wanted.ca_file, role)
    except ConfigError as error:
        raise NotAskedError(redact(str(error)), redact(error.hint)) from None
    connection = pymysql.connect(
        host=wanted.host,
        port=wanted.port,
        user=wanted.reader_user,
        password=password,
        database=wanted.name,
        autocommit=True,
        defer_connect=True,
        ssl=context,
    )
    number = 0
    try:
        with Deadline(seconds) as deadline:
            connection.connect(deadline.connect(wanted.host, wanted.port, at_most_s=_CONNECT_S))
            number = connection.thread_id()  # type: ignore[no-untyped-call]
            with connection, connection.cursor() as cursor:
                return question(cursor)
    except KeyboardInterrupt:
        if number:
            with contextlib.suppress(NotAskedError, SilentError):
                ask(fleet, lambda cursor: cursor.execute("KILL QUERY %s", (number,)), deadline_s=_CONNECT_S)
        raise
    except TimeoutError:
        raise SilentError(f"no answer within {seconds:g} s") from None
    except (pymysql.MySQLError, OSError, RuntimeError) as error:
        untrusted = encryption.failure(error, wanted.host, wanted.port, wanted.ca_file, role)
        if untrusted is not None:
            raise SilentError(*untrusted, untrusted=True) from None
        if isinstance(error, RuntimeError):
            raise _foreign(wanted.port, error) from None
        if isinstance(error, pymysql.InternalError) and not _has_code(error):
            # The client library's own error about packets; a server's error has a code.
            raise _foreign(wanted.port, error) from None
        code = error.args[0] if _has_code(error) else 0
        raise SilentError(_words(error), hint_for(code, role)) from None
    except Exception as error:
        # The client parses whatever the port sends as MySQL's protocol, and may raise any error if it is something
        # else.
        raise _foreign(wanted.port, error) from None


def _probe(cursor: Any) -> DatabaseProbe:
    cursor.execute(questions.NEWEST_TRAFFIC)
    age_s, host = cursor.fetchone() or (None, "")
    return DatabaseProbe(
        traffic_s=age_s,
        traffic_host=host,
        version=str(_one(cursor, questions.VERSION)),
        behind_s=_number(cursor, questions.SECONDS_SINCE_STORED),
        quarantined_last_day=_number(cursor, questions.QUARANTINED_LAST_DAY),
        catch_all_rows=_number(cursor, questions.BEYOND_ROWS),
        losses=losses(cursor),
    )


def losses(cursor: Any) -> tuple[StoredLoss, ...] | None:
    """Query how many records were deleted before they were stored; None if the tables do not have that column yet."""
    import pymysql

    try:
        cursor.execute(questions.LOSSES)
    except pymysql.MySQLError as error:
        if error.args and error.args[0] == questions.NO_SUCH_COLUMN:
            return None
        raise
    return tuple(
        StoredLoss(topic=topic, partition=int(partition), lost=int(lost), at=str(at))
        for topic, partition, lost, at in cursor.fetchall()
    )


def _has_code(error: Exception) -> bool:
    return bool(error.args) and isinstance(error.args[0], int)


def _foreign(port: int, error: Exception) -> SilentError:
    return SilentError(
        f"what answers on port {port} is not MySQL ({type(error).__name__})",
        f"as root on the database's host: ss -ltnp sport = :{port} names the program that listens there; mysql_port in "
        "the inventory is the database's",
    )


def _one(cursor: Any, question: str) -> Any:
    cursor.execute(question)
    row = cursor.fetchone()
    return row[0] if row else None


def _number(cursor: Any, question: str) -> int | None:
    value = _one(cursor, question)
    return None if value is None else int(value)


def _words(error: Exception) -> str:
    text = error.args[1] if len(error.args) > 1 else str(error)
    return redact(str(text) or type(error).__name__)
