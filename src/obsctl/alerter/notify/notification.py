"""A notification: what one group of alerts has to say to some channels."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterable

import msgspec

from obsctl.alerter.alerts import Alert, Level

#: Alerts that a notification holds in full; the others are counted.
LISTED = 20


class Reason(enum.StrEnum):
    """Why a notification is sent."""

    #: Nothing of the group was firing, and now something is.
    FIRST = "first"
    #: One of its alerts is worse than any message of the group said.
    ESCALATED = "escalated"
    #: It is firing still.
    REPEAT = "repeat"
    #: All its alerts have ended.
    RESOLVED = "resolved"
    #: Alerts started or ended, and the group goes on; or all of them started and ended since the last message.
    DIGEST = "digest"


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """One message, before it has a text.

    The sum of ``started`` over all notifications of a route is the number of alerts that were not suppressed, and the
    sum of ``resolved`` the number of those that have ended.

    Attributes:
        id: the same if the same decision is made twice (a crash in between), and in no other notification.
        thread: the same in all notifications of one group.
        reason: why it is sent.
        route: name of the route.
        channels: names of the channels that get it.
        labels: values that all alerts of the group share, by the route's ``group_by``.
        severity: the worst of what it is about.
        at: wall-clock time of the decision, seconds since the epoch.
        since: event second at which the group began to fire.
        ended: event second at which the last alert was true, if all have ended; 0 otherwise.
        started: alerts that started and that no earlier notification counted.
        resolved: alerts that ended and that no earlier notification counted.
        firing: alerts of the group that were reported and fire still.
        repeat: how many repetitions there were since the group began to fire, this one included; 0 for other reasons.
        total: alerts that it is about.
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
        """Seconds from the start to the end of the group's condition; 0 while it is on."""
        return max(0, self.ended - self.since) if self.ended else 0


def name_of(parts: Iterable[str]) -> str:
    """Return a short name that the same parts always get, and others not."""
    return hashlib.blake2b(repr(tuple(parts)).encode(), digest_size=8).hexdigest()
