"""Parses times and durations as people write them: ``2026-01-31T12:00``, ``90m``, ``7d``."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo

_AGE = re.compile(r"([0-9]{1,6})([smhd])").fullmatch
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
#: The years of times; what is calculated from one must have a result, and Kafka has none before 1970.
_YEARS = range(1970, 9999)


def moment(text: str, zone: tzinfo = UTC) -> datetime:
    """Parse a time, and return it in UTC.

    Args:
        text: a time in ISO 8601, or how long ago: ``90m``, ``24h``, ``7d``.
        zone: of a time without a zone.

    Raises:
        ValueError: it is neither, or in no year of :data:`_YEARS`.
    """
    age = _AGE(text)
    try:
        if age:
            found = datetime.now(UTC) - timedelta(**{_UNITS[age[2]]: int(age[1])})
        else:
            read = datetime.fromisoformat(text)
            found = (read.replace(tzinfo=zone) if read.tzinfo is None else read).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text!r} is neither a time (2026-01-31, 2026-01-31T12:00Z) nor an age (90m, 24h, 7d)"
        ) from None
    if found.year not in _YEARS:
        raise ValueError(f"{text!r} is not in the years {_YEARS.start} to {_YEARS.stop - 1}")
    return found


def duration(text: str) -> timedelta:
    """Parse a duration, such as ``90m``, ``2h``, ``7d``.

    Raises:
        ValueError: it is not a duration, or is zero.
    """
    span = _AGE(text)
    if not span or not int(span[1]):
        raise ValueError(f"{text!r} is not a duration (90m, 2h, 7d)")
    return timedelta(**{_UNITS[span[2]]: int(span[1])})
