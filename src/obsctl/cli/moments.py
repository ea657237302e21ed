"""Times and durations as options of commands."""

from __future__ import annotations

from datetime import datetime, timedelta

import typer

from obsctl.core import moments


def moment(value: str) -> datetime:
    """Parse an option's time, in UTC: ISO 8601, or an age such as ``90m``, ``24h``, ``7d``.

    Raises:
        BadParameter: it is neither.
    """
    try:
        return moments.moment(value)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def duration(value: str) -> timedelta:
    """Parse an option's duration, such as ``90m``, ``2h``, ``7d``.

    Raises:
        BadParameter: it is not a duration, or is zero.
    """
    try:
        return moments.duration(value)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
