"""Moments as people write them on a command line: a time, or how long ago."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import typer

_AGE = re.compile(r"([0-9]{1,6})([smhd])").fullmatch
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def moment(value: str) -> datetime:
    """Return an option's moment in UTC: a time in ISO 8601, or an age such as ``90m``, ``24h``, ``7d``.

    Raises:
        BadParameter: it is neither.
    """
    age = _AGE(value)
    try:
        if age:
            return datetime.now(UTC) - timedelta(**{_UNITS[age[2]]: int(age[1])})
        read = datetime.fromisoformat(value)
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{value!r} is neither a time (2026-01-31, 2026-01-31T12:00Z) nor an age (90m, 24h, 7d)"
        ) from None


def duration(value: str) -> timedelta:
    """Return an option's span of time, such as ``90m``, ``2h``, ``7d``.

    Raises:
        BadParameter: it is none, or it is empty.
    """
    span = _AGE(value)
    if not span or not int(span[1]):
        raise typer.BadParameter(f"{value!r} is not a duration (90m, 2h, 7d)")
    return timedelta(**{_UNITS[span[2]]: int(span[1])})
