"""A notification: one report about a group of alerts to some channels."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterable

import msgspec

from obsctl.alerter.alerts import Alert, Level

#: The most alerts that a notification lists; the others are only counted.
LISTED = 20


class Reason(enum.StrEnum):
    """Why a notification is sent."""

    #: Something of the group fires, and nothing did before.
    FIRST = "first"
    #: One of its alerts is worse than anything that the group's messages reported.
    ESCALATED = "escalated"
    #: The group is still firing.
    REPEAT = "repeat"
    #: All alerts of the group have ended.
    RESOLVED = "resolved"
    #: Alerts started or ended, and the group still fires; or alerts both started and ended since the last message.
    DIGEST = "digest"


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """One message, before its text is written.

    The sum of ``started`` over all notifications of a route is the number of alerts that were not suppressed, and the
    sum of ``resolved`` the number of those that have ended.

    Attributes:
        id: the same if the same decision is made again after a crash, and otherwise unique.
        thread: the same in all notifications of one group.
        reason: why it is sent.
        route: name of the route.
        channels: names of the channels that get it.
        labels: values that all alerts of the group share, by the route's ``group_by``.
        severity: the worst of its alerts.
        at: wall-clock time of the decision, seconds since the epoch.
        since: event second at which the group began to fire.
        ended: event second at which the last alert was true, if all have ended; 0 otherwise.
        started: how many alerts started that no earlier notification counted.
        resolved: how many alerts ended that no earlier notification counted.
        firing: how many alerts of the group were reported and still fire.
        repeat: number of repetitions since the group began to fire, including this one; 0 for other reasons.
        total: how many alerts it is about.
        alerts: at most :data:`LISTED` of them, the worst first.
    """

    id: str
    thread: str
    reason: Reason
    route: str
    channels: tuple[str, ...] = ()
    labels: dict[str, str]
    severity: Level
    at: float
    since: int
    ended: int = 0
    started: int = 0
    resolved: int = 0
    firing: int = 0
    repeat: int = 0
    total: int
    alerts: tuple[Alert, ...]

    @property
    def duration(self) -> int:
        """Seconds from the start to the end of the group's condition; 0 while it is firing."""
        return max(0, self.ended - self.since) if self.ended else 0


def name_of(parts: Iterable[str]) -> str:
    """Return a short name that depends only on the parts: other parts get another one."""
    return hashlib.blake2b(repr(tuple(parts)).encode(), digest_size=8).hexdigest()
