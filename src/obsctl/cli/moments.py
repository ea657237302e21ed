"""Moments and spans of time as options of commands."""

from __future__ import annotations

from datetime import datetime, timedelta

import typer

from obsctl.core import moments


def moment(value: str) -> datetime:
    """Return an option's moment in UTC: a time in ISO 8601, or an age such as ``90m``, ``24h``, ``7d``.

    Raises:
        BadParameter: it is neither.
    """
    try:
        return moments.moment(value)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def duration(value: str) -> timedelta:
    """Return an option's span of time, such as ``90m``, ``2h``, ``7d``.

    Raises:
        BadParameter: it is none, or it is empty.
    """
    try:
        return moments.duration(value)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
