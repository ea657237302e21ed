"""Times as people and programs read them: ISO 8601 in UTC."""

from __future__ import annotations

import datetime

_FIRST = datetime.datetime.min.replace(tzinfo=datetime.UTC)
_LAST = datetime.datetime.max.replace(tzinfo=datetime.UTC)


def calendar(seconds: float) -> datetime.datetime:
    """Return seconds since the epoch as a time in UTC, limited to the calendar's first and last moment.

    The numbers come from hosts, brokers and clients, and may be anything.
    """
    try:
        return datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    except (ValueError, OverflowError, OSError):
        return _LAST if seconds > 0 else _FIRST


def iso(moment: float | datetime.datetime, timespec: str = "seconds") -> str:
    """Return a time as ISO 8601 in UTC, such as ``2026-01-02T03:04:05+00:00``.

    Args:
        moment: seconds since the epoch, or a time with its zone.
        timespec: the last unit, as :meth:`datetime.datetime.isoformat` names it.
    """
    if not isinstance(moment, datetime.datetime):
        moment = calendar(moment)
    return moment.astimezone(datetime.UTC).isoformat(timespec=timespec)


def timestamp(moment: datetime.datetime) -> str:
    """Return a moment as the contract ``obsctl/v1`` writes it: UTC, milliseconds, ``Z``."""
    return iso(moment, "milliseconds").replace("+00:00", "Z")
