"""The alerts as the alerters' state has them now, for people; pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from obsctl.alerter.alerts import Alert, AlertState
from obsctl.alerter.notify import memory
from obsctl.alerter.notify.memory import Memory
from obsctl.alerter.notify.why import Why, why
from obsctl.alerter.state.rows import Row


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """One alert, and where it is on each of its routes.

    Attributes:
        alert: as it was written last.
        routes: one entry a route; empty for one that no route takes.
    """

    alert: Alert
    routes: tuple[Why, ...]


def standing(rows: Iterable[Row]) -> list[Standing]:
    """Return the alerts of the state, those that fire first, the latest of them at the beginning.

    Args:
        rows: of the state, all its tables.
    """
    alerts: list[Alert] = []
    entries: list[memory.Entry] = []
    for row in rows:
        # Both tables have the row's content in their last column.
        body = row.values[-1] if row.values is not None else None
        if row.table == "alert" and isinstance(body, bytes):
            alerts.append(msgspec.json.decode(body, type=Alert))
        elif row.table == "entry" and isinstance(body, bytes):
            entries.append(memory.decode(body))
    remembered = Memory(entries)
    found = [Standing(alert=alert, routes=tuple(why(remembered, alert.incident))) for alert in alerts]
    return sorted(found, key=lambda one: (one.alert.state is AlertState.ENDED, -one.alert.started, one.alert.incident))
