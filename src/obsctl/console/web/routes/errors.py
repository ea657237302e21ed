"""Errors by fingerprint: the page and its calls of the API."""

from __future__ import annotations

import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi import Path as PathParameter
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from obsctl.console.config import ConsoleConfig
from obsctl.console.database import Pool
from obsctl.console.errors import groups
from obsctl.console.web.page import show_with_script
from obsctl.console.web.parameters import TABLES, Since, Until, span
from obsctl.console.web.problems import ProblemError
from obsctl.console.web.scope import Unbounded
from obsctl.store.mysql.time_limit import bound_of

pages = APIRouter(include_in_schema=False)
api = APIRouter(prefix="/v1")

#: Texts that the page's script puts together.
TEXTS = (
    "lost", "all_fields", "all_hosts", "error_log", "access_log", "errors_found", "no_errors", "is_new", "other_errors",
    "find_lines", "line_is_gone",
)  # fmt: skip
#: Time limit for an answer, seconds.
_ERRORS_S = 4.0


@pages.get("/errors")
async def errors_page(request: Request) -> Response:
    """Show the errors; the page's state is the address's."""
    return await show_with_script(request, "errors", TEXTS)


class AskedErrors(BaseModel):
    """The parameters of a list of errors; a mistyped one is an error."""

    model_config = ConfigDict(extra="forbid")

    log: Annotated[Literal["", "access", "error"], Field(description="of one log alone")] = ""
    since: Since = "24h"
    until: Until = ""
    host: Annotated[str, Field(max_length=64, description="of this host alone")] = ""
    order: groups.Order = "frequent"
    limit: Annotated[int, Field(ge=1, le=500, description="groups at most")] = 100


@api.get("/errors")
def errors(request: Request, _: Unbounded, asked: Annotated[AskedErrors, Query()]) -> dict[str, Any]:
    """Return the groups of errors of a stretch of time, counted by minutes."""
    config: ConsoleConfig = request.app.state.config
    pool: Pool = request.app.state.pool
    now = datetime.datetime.now(datetime.UTC)
    begin, end = span(config, asked.since, asked.until)
    tables = tuple(table for log, table in TABLES.items() if asked.log in ("", log))
    wanted = groups.Asked(
        tables, begin.replace(second=0, microsecond=0), end or now, asked.host, asked.order, asked.limit + 1
    )
    with pool.own(_ERRORS_S + 1) as connection, connection.cursor() as cursor:
        cursor.execute(bound_of(cursor)(_ERRORS_S))
        found = groups.find(cursor, wanted, now)
    return {"errors": found[: asked.limit], "more": len(found) > asked.limit}


ErrorId = Annotated[str, PathParameter(pattern="^[0-9a-f]{32}$", description="of the group")]


@api.get("/errors/{error_id}/example")
def example(request: Request, _: Unbounded, error_id: ErrorId) -> dict[str, Any]:
    """Return the newest line of a group."""
    pool: Pool = request.app.state.pool
    line = pool.run(lambda cursor: groups.example(cursor, bytes.fromhex(error_id)))
    if line is None:
        raise ProblemError(404, "not-found", "the group, or its newest line, is no longer there")
    return line
