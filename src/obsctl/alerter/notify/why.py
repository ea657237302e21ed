"""Why an alert was sent, is waiting, or was not sent."""

from __future__ import annotations

from typing import NamedTuple

from obsctl.alerter.notify.group import Grouping
from obsctl.alerter.notify.hold import Hold
from obsctl.alerter.notify.memory import Member, Memory


class Why(NamedTuple):
    """State of an alert on one of its routes; all times are wall-clock times, seconds since the epoch, 0 for none.

    Attributes:
        route: name of the route.
        labels: labels of its group.
        thread: thread of the group's notifications.
        since: when it started.
        ended_at: when it ended.
        reported: whether it fires according to the last notification.
        stage: the stage that holds it back; ``group`` if it waits for its group's message; empty if there is nothing
            left to report.
        cause: the stage's reason.
        stage_since: since when the stage holds it back.
        next_at: when the group is checked next.
        notifications: number of the group's notifications so far.
    """

    route: str
    labels: dict[str, str]
    thread: str
    since: float
    ended_at: float
    reported: bool
    stage: str
    cause: str
    stage_since: float
    next_at: float
    notifications: int


def why(memory: Memory, incident: str) -> list[Why]:
    """Return the state of the alert with this incident on each of its routes; empty if it is not remembered.

    Alerts that ended long ago are only in the record (:class:`~obsctl.alerter.notify.turn.Suppressed`).
    """
    return [_why(memory, member) for member in memory.members.values() if member.alert.incident == incident]


def _why(memory: Memory, member: Member) -> Why:
    group = memory.groups[member.group]
    waits = member.has_news and not member.parked
    held = Hold.name if member.held else ""
    return Why(
        route=member.route,
        labels=group.labels,
        thread=group.thread,
        since=member.since,
        ended_at=member.ended_at,
        reported=member.reported,
        stage=Grouping.name if waits else member.parked or held,
        cause=member.cause,
        stage_since=member.parked_at,
        next_at=group.next_at if waits else 0.0,
        notifications=group.sent,
    )
