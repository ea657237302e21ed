"""The row store, asked as the reading user."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from obsctl.checks.health.snapshot import DatabaseProbe
from obsctl.core.deadline import Deadline
from obsctl.core.errors import ConfigError
from obsctl.core.secrets import redact, resolve
from obsctl.fleet.model import Fleet
from obsctl.store.mysql import questions
from obsctl.store.mysql.hints import hint_for

#: Seconds; for connecting alone, and for all questions together.
_CONNECT_S = 3.0
_DEADLINE_S = 6.0

T = TypeVar("T")


def probe(fleet: Fleet) -> DatabaseProbe:
    """Ask the database of the fleet; what goes wrong stands in the probe's ``failure``."""
    try:
        return ask(fleet, _probe)
    except NotAskedError as error:
        return DatabaseProbe(asked=False, failure=str(error))
    except SilentError as error:
        return DatabaseProbe(failure=str(error), hint=error.hint)


class NotAskedError(Exception):
    """The reader's password cannot be read here."""


class SilentError(Exception):
    """The database does not answer what was asked; the message says why, without secrets.

    Attributes:
        hint: what can be done where the server itself refused, empty otherwise.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def ask(fleet: Fleet, question: Callable[[Any], T]) -> T:
    """Have a function ask the database of the fleet as the reading user, all within six seconds.

    Args:
        question: gets a cursor.

    Raises:
        NotAskedError: the reader's password cannot be read here.
        SilentError: it does not answer.
    """
    import pymysql

    wanted = fleet.database
    try:
        password = resolve(wanted.reader_password).reveal()
    except ConfigError as error:
        raise NotAskedError(redact(str(error))) from None
    connection = pymysql.connect(
        host=wanted.host,
        port=wanted.port,
        user=wanted.reader_user,
        password=password,
        database=wanted.name,
        autocommit=True,
        defer_connect=True,
    )
    try:
        with Deadline(_DEADLINE_S) as deadline:
            connection.connect(deadline.connect(wanted.host, wanted.port, at_most_s=_CONNECT_S))
            with connection, connection.cursor() as cursor:
                return question(cursor)
    except TimeoutError:
        raise SilentError(f"no answer within {_DEADLINE_S:g} s") from None
    except (pymysql.MySQLError, OSError) as error:
        code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        raise SilentError(_words(error), hint_for(code, fleet.playbook("mysql"))) from None
    except Exception as error:
        # The client reads whatever the port sends as MySQL's protocol, and fails in any way on what is something else.
        raise SilentError(f"what answers there is not MySQL ({type(error).__name__})") from None


def _probe(cursor: Any) -> DatabaseProbe:
    return DatabaseProbe(
        version=str(_one(cursor, questions.VERSION)),
        behind_s=_number(cursor, questions.SECONDS_SINCE_STORED),
        quarantined_last_day=_number(cursor, questions.QUARANTINED_LAST_DAY),
        catch_all_rows=_number(cursor, questions.BEYOND_ROWS),
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
