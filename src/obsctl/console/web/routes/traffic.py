"""Traffic from the roll-ups: the page and its call of the API."""

from __future__ import annotations

import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from obsctl.console import traffic
from obsctl.console.config import ConsoleConfig
from obsctl.console.database import Pool
from obsctl.console.web.page import show_with_script
from obsctl.console.web.parameters import Since, Until, span
from obsctl.console.web.problems import ProblemError
from obsctl.console.web.scope import Scoped, counted_for
from obsctl.query.sql import Sql
from obsctl.store.mysql.time_limit import bound_of

pages = APIRouter(include_in_schema=False)
api = APIRouter(prefix="/v1")

#: Texts that the page's script puts together.
TEXTS = (
    "lost", "requests_per_s", "latency", "bytes_per_s", "no_traffic", "updated", "all_hosts", "all_routes",
    "time_range",
)  # fmt: skip
#: Time limit for a page of traffic, seconds, and the longest time range.
_TRAFFIC_S = 4.0
_LONGEST_TRAFFIC = datetime.timedelta(days=400)


@pages.get("/traffic")
async def traffic_page(request: Request) -> Response:
    """Show the traffic; its state is the address's."""
    return await show_with_script(request, "traffic", TEXTS)


class AskedTraffic(BaseModel):
    """The parameters of traffic; a mistyped one is an error."""

    model_config = ConfigDict(extra="forbid")

    since: Since = "24h"
    until: Until = ""
    host: Annotated[str, Field(max_length=64, description="of this balancer alone")] = ""
    route: Annotated[str, Field(max_length=16, pattern="^[a-z]*$", description="of this class of routes alone")] = ""


@api.get("/traffic")
def traffic_of(request: Request, scope: Scoped, asked: Annotated[AskedTraffic, Query()]) -> dict[str, Any]:
    """Count requests, bytes and latency from the roll-ups: as series, and by balancer and class of routes."""
    config: ConsoleConfig = request.app.state.config
    pool: Pool = request.app.state.pool
    begin, end = span(config, asked.since, asked.until)
    end = end or datetime.datetime.now(datetime.UTC)
    first = begin.replace(second=0, microsecond=0)
    wanted = traffic.Asked(first, end, asked.host, asked.route, config.zone, counted_for(scope))
    if end - begin > _LONGEST_TRAFFIC:
        raise ProblemError(422, "invalid-parameter", f"at most {_LONGEST_TRAFFIC.days} days", parameter="since")

    def rows(cursor: Any, statement: Sql) -> Any:
        cursor.execute(statement.text, statement.parameters)
        return cursor.fetchall()

    with pool.own(_TRAFFIC_S + 1) as connection, connection.cursor() as cursor:
        cursor.execute(bound_of(cursor)(_TRAFFIC_S))
        drawn = traffic.series(wanted, rows(cursor, traffic.series_of(wanted)))
        return drawn | traffic.tables(rows(cursor, traffic.tables_of(wanted)))
