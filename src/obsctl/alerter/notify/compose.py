"""Makes a group's next notification, for the stages ``group`` and ``repeat``."""

from __future__ import annotations

import copy
import heapq
from collections.abc import Iterable

from obsctl.alerter.alerts import Alert, Level
from obsctl.alerter.notify.filters import RANK
from obsctl.alerter.notify.memory import Group, Member
from obsctl.alerter.notify.notification import LISTED, Notification, Reason, name_of
from obsctl.alerter.notify.turn import Turn


def decided(
    turn: Turn,
    group: Group,
    reason: Reason,
    *,
    severity: Level,
    total: int,
    alerts: tuple[Alert, ...],
    ended: int = 0,
    started: int = 0,
    resolved: int = 0,
) -> Notification:
    """Return a notification, and record it as the group's latest one.

    Its id is made of the group and of the number of notifications before it. Both are saved with it, so a decision
    that is repeated after a crash gets the same id.
    """
    notification = Notification(
        id=name_of((group.thread, str(group.sent))),
        thread=group.thread,
        reason=reason,
        route=group.route,
        labels=group.labels,
        severity=severity,
        at=turn.now,
        since=group.since,
        ended=ended,
        started=started,
        resolved=resolved,
        firing=group.firing,
        repeat=group.repeats if reason is Reason.REPEAT else 0,
        total=total,
        alerts=alerts,
    )
    group.sent += 1
    group.last_at = turn.now
    turn.memory.changed(group)
    turn.spoken[group.id] = None
    return notification


def listed(turn: Turn, members: Iterable[Member]) -> tuple[Alert, ...]:
    """Return the alerts that a message about these members shows in full, with their current peaks."""
    chosen = heapq.nsmallest(LISTED, (_now(turn, member) for member in members), key=_order)
    return tuple(copy.copy(alert) for alert in chosen)


def _now(turn: Turn, member: Member) -> Alert:
    current = turn.firing.get(member.subject)
    if current is None or not member.firing or current.incident != member.alert.incident:
        return member.alert
    return current


def _order(alert: Alert) -> tuple[int, float, str, tuple[str, ...]]:
    return -RANK[alert.severity], -alert.peak.value, alert.rule, alert.key
