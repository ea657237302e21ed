"""When alerts of one rule really started, according to the history."""

from __future__ import annotations

import time
from collections.abc import Iterable

from msgspec import Struct

from obsctl.alerter.history.records import AnyRecord, Ended, Omitted, Started
from obsctl.alerter.messages.message import utc

#: How far the clock of a line's host may be ahead, so that a record is older than its alert's start (seconds).
EARLIER_S = 60.0
#: The most alerts that are listed: those that started last.
MOST_LISTED = 200


class Recorded(Struct, kw_only=True):
    """One alert.

    Attributes:
        incident: its id, by which ``obsctl alert why`` finds it.
        labels: what it is about.
        started: when it started.
        ended: when its condition was true for the last time; None where the history knows no end.
    """

    incident: str
    labels: dict[str, str]
    started: str
    ended: str | None = None


class Starts(Struct, kw_only=True):
    """The alerts of a rule.

    Attributes:
        fires: how many started, including those that the history only counts.
        alerts: in the order of their starts.
        whole: whether all of the history was read within the time limit.
    """

    fires: int
    alerts: list[Recorded]
    whole: bool


def starts(records: Iterable[AnyRecord], rule: str, begin: float, end: float, *, seconds: float) -> Starts:
    """Return the alerts of a rule that started within a time.

    Args:
        records: of the history, from :data:`EARLIER_S` before ``begin``.
        rule: its name.
        begin: of the time, seconds since the epoch.
        end: of the time.
        seconds: time limit for reading.
    """
    found: dict[str, Recorded] = {}
    ends, counted, whole = time.monotonic() + seconds, 0, True
    for record in records:
        match record:
            case Started(alert=alert) if alert.rule == rule and begin <= alert.started <= end:
                found[alert.incident] = Recorded(
                    incident=alert.incident, labels=alert.labels, started=utc(alert.started)
                )
            case Ended(alert=alert) if alert.incident in found:
                found[alert.incident].ended = utc(alert.last_true)
            case Omitted(what="started", at=at, records=more) if record.rule == rule and begin <= at <= end:
                counted += more
        if time.monotonic() > ends:
            whole = False
            break
    alerts = sorted(found.values(), key=lambda one: one.started)
    return Starts(fires=len(found) + counted, alerts=alerts[-MOST_LISTED:], whole=whole)
