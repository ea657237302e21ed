"""Moments as people write them on a command line: a time, or how long ago."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import click

_AGE = re.compile(r"(\d{1,6})([smhd])").fullmatch
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def moment(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> datetime | None:
    """Return an option's moment in UTC: a time in ISO 8601, or an age such as ``90m``, ``24h``, ``7d``.

    Raises:
        click.BadParameter: it is neither.
    """
    if value is None:
        return None
    age = _AGE(value)
    try:
        if age:
            return datetime.now(UTC) - timedelta(**{_UNITS[age[2]]: int(age[1])})
        told = datetime.fromisoformat(value)
        return told.replace(tzinfo=UTC) if told.tzinfo is None else told.astimezone(UTC)
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{value!r} is no time (2026-01-31, 2026-01-31T12:00Z) and no age (90m, 24h, 7d)"
        ) from None
