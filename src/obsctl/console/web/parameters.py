"""Parameters of several calls of the API: a time range, and the log."""

from __future__ import annotations

import datetime
from typing import Annotated, Literal

from pydantic import Field

from obsctl.console.config import ConsoleConfig
from obsctl.console.web.problems import ProblemError
from obsctl.core.moments import moment
from obsctl.query.fields import ACCESS, ERROR, Table
from obsctl.query.parse import MAX_LENGTH

Log = Literal["access", "error"]
TABLES: dict[str, Table] = {"access": ACCESS, "error": ERROR}
Since = Annotated[str, Field(max_length=40, description="a time, or how long ago: 90m, 24h, 7d")]
Until = Annotated[str, Field(max_length=40, description="the same; empty for now")]
Filter = Annotated[str, Field(max_length=MAX_LENGTH, description="Lucene's syntax; empty for all lines")]


def span(config: ConsoleConfig, since: str, until: str) -> tuple[datetime.datetime, datetime.datetime | None]:
    """Return when a time range begins and ends (UTC; None: it has no end).

    Raises:
        ProblemError: a time cannot be read, or the range is empty.
    """
    begin = _moment(config, "since", since)
    end = _moment(config, "until", until) if until else None
    if begin >= (end or datetime.datetime.now(datetime.UTC)):
        raise ProblemError(422, "invalid-parameter", "since is not before until", parameter="since")
    return begin, end


def _moment(config: ConsoleConfig, name: str, text: str) -> datetime.datetime:
    try:
        return moment(text, config.zone)
    except ValueError as error:
        raise ProblemError(422, "invalid-parameter", f"{name}: {error}", parameter=name) from None
