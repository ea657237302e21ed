"""The present alerts in the alerters' state, for people; pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from obsctl.alerter.alerts import Alert, AlertState
from obsctl.alerter.history.sentences import because
from obsctl.alerter.messages.message import FLEET, utc
from obsctl.alerter.notify import memory
from obsctl.alerter.notify.memory import Memory
from obsctl.alerter.notify.why import Why, why
from obsctl.alerter.state.rows import Row


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """One alert, and its state on each of its routes.

    Attributes:
        alert: as written last.
        routes: one entry for each route; empty if no route takes the alert.
    """

    alert: Alert
    routes: tuple[Why, ...]


def standing(rows: Iterable[Row]) -> list[Standing]:
    """Return the alerts of the state: firing ones first, and of these the latest first.

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


def as_data(one: Standing) -> dict[str, Any]:
    """Return an alert as data, for a report and a page."""
    alert = one.alert
    held = [route for route in one.routes if route.stage not in {"", "group"}]
    waits = [route.next_at for route in one.routes if route.next_at]
    return {
        "rule": alert.rule,
        "key": " ".join(alert.key) or FLEET,
        "labels": alert.labels,
        "state": alert.state.value,
        "severity": alert.severity.value,
        "started": utc(alert.started),
        "last_true": utc(alert.last_true),
        "ended": utc(alert.ended) if alert.ended else None,
        "reported": any(route.reported for route in one.routes),
        "held_back_by": "; ".join(dict.fromkeys(because(route.stage, route.cause) for route in held)) or None,
        "next_message": utc(min(waits)) if waits else None,
        "incident": alert.incident,
        "routes": [
            {
                "route": route.route,
                "thread": route.thread,
                "reported": route.reported,
                "stage": route.stage or None,
                "cause": route.cause or None,
            }
            for route in one.routes
        ],
    }
