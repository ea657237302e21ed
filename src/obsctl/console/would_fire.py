"""When a rule would have fired for stored lines, and when its alerts really started, for the page of alerts."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from obsctl.alerter.history.starts import Starts
from obsctl.alerter.messages.message import utc
from obsctl.alerter.replay.would_fire import Question, would_fire
from obsctl.console.kept import within
from obsctl.core.errors import ObsctlError
from obsctl.core.secrets import redact

#: Time between two progress messages, and thus how soon a browser that has left is noticed, seconds.
_EVERY_S = 0.3
#: Time limit for reading the history, seconds.
_HISTORY_S = 4.5


def messages(cursor: Any, asked: Question, really: Callable[[float, float], Starts] | None) -> Iterator[dict[str, Any]]:
    """Yield ``progress`` (``lines``, ``reached``) regularly, and at last ``end``.

    The end contains the attributes of :class:`Outcome`, ``history`` (the attributes of :class:`Starts`, or None) and
    ``trouble``, which says why there is no history.

    Args:
        cursor: as :func:`would_fire` takes it.
        asked: the question.
        really: returns when alerts of the rule really started between two times (seconds since the epoch); None
            without Kafka.

    Raises:
        pymysql.MySQLError: the database refuses a statement, or does not answer.
    """
    steps, said = would_fire(cursor, asked), time.monotonic()
    while True:
        try:
            position = next(steps)
        except StopIteration as end:
            outcome = end.value
            break
        if time.monotonic() - said >= _EVERY_S:
            said = time.monotonic()
            yield {"kind": "progress", "lines": position.lines, "reached": utc(position.second)}
    history, trouble = None, ""
    if outcome.begin is not None:
        history, trouble = _history(really, _seconds(outcome.begin), _seconds(outcome.end))
    yield {"kind": "end", **msgspec.to_builtins(outcome), "history": msgspec.to_builtins(history), "trouble": trouble}


def _history(really: Callable[[float, float], Starts] | None, begin: float, end: float) -> tuple[Starts | None, str]:
    if really is None:
        return None, "console.yml has no section kafka, from which the history is read"
    try:
        return within(_HISTORY_S, lambda: really(begin, end)), ""
    except TimeoutError:
        return None, f"Kafka does not answer within {_HISTORY_S:g} s"
    except ObsctlError as error:
        return None, redact(str(error))


def _seconds(text: str) -> float:
    return datetime.datetime.fromisoformat(text).timestamp()
