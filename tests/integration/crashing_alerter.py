"""The alerter, which kills or suspends itself at one place: ``crashing_alerter.py PLACE --config FILE``.

The active alerter of a fleet is killed with SIGKILL the first time that it comes to the place with something to lose;
with the suffix ``-hung`` it is suspended there instead.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable
from typing import Any

from obsctl.alerter import leadership, service
from obsctl.alerter.delivery.sender import Sender
from obsctl.alerter.evaluation.engine import Engine
from obsctl.alerter.state.changelog import Changelog
from obsctl.alerter.state.rows import Row

#: So that a test does not wait long for the other alerter.
leadership._SESSION_S = 4.0


def crash() -> None:
    """End here, or hang here."""
    os.kill(os.getpid(), signal.SIGSTOP if place.endswith("-hung") else signal.SIGKILL)


def before(kind: Any, name: str, wanted: Callable[..., bool]) -> None:
    """Crash before a method is called with what is wanted."""
    method = getattr(kind, name)

    def crashing(self: Any, *arguments: Any, **options: Any) -> Any:
        if wanted(*arguments):
            crash()
        return method(self, *arguments, **options)

    setattr(kind, name, crashing)


def after(kind: Any, name: str, wanted: Callable[..., bool]) -> None:
    """Crash after a method was called with what is wanted."""
    method = getattr(kind, name)

    def crashing(self: Any, *arguments: Any, **options: Any) -> Any:
        result = method(self, *arguments, **options)
        if wanted(*arguments):
            crash()
        return result

    setattr(kind, name, crashing)


def holds_a_message(rows: Iterable[Row]) -> bool:
    """Say whether a message is put into the outbox: the column is the state."""
    return any(row.table == "outbox" and row.values is not None and "pending" in row.values for row in rows)


place = sys.argv.pop(1)
at = place.removesuffix("-hung")
if at == "before-evaluation":
    before(Engine, "feed", lambda events, *_: len(events) > 0)
elif at == "before-commit":
    before(Changelog, "publish", holds_a_message)
elif at == "after-commit":
    after(Changelog, "publish", holds_a_message)
elif at == "before-send":
    before(Sender, "_send", lambda *_: True)
elif at == "after-send":
    after(Sender, "_send", lambda *_: True)
elif at != "never":
    raise SystemExit(f"no place is called {at}")
service.main()
