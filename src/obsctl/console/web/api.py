"""``/v1``: what the pages are made of, for programs as well."""

from __future__ import annotations

import datetime
import threading
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi import Path as PathParameter
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from obsctl.console import traffic
from obsctl.console.config import ConsoleConfig
from obsctl.console.database import Pool
from obsctl.console.people import saved, sessions
from obsctl.console.people.sessions import Person
from obsctl.console.web.found import Wanted, place_of, stream
from obsctl.console.web.guard import logged_in
from obsctl.console.web.problems import ProblemError
from obsctl.core.moments import moment
from obsctl.query.errors import QueryError
from obsctl.query.fields import ACCESS, ERROR, Table
from obsctl.query.parse import parse
from obsctl.query.sql import Sql
from obsctl.search.question import question
from obsctl.search.run import bound_of
from obsctl.search.windows import Windows

router = APIRouter(prefix="/v1")

Log = Literal["access", "error"]
_TABLES: dict[str, Table] = {"access": ACCESS, "error": ERROR}
#: A page of traffic may take so long, seconds, and span so much.
_TRAFFIC_S = 4.0
_LONGEST_TRAFFIC = datetime.timedelta(days=400)
LoggedIn = Annotated[Person, Depends(logged_in)]


class Turns:
    """How many searches may run at the same time.

    Args:
        most: so many.
    """

    def __init__(self, most: int) -> None:
        self._free = threading.BoundedSemaphore(most)

    def take(self) -> None:
        """Begin one.

        Raises:
            ProblemError: too many run.
        """
        if not self._free.acquire(blocking=False):
            raise ProblemError(
                429, "busy", "too many searches run at the same time; try again", headers={"retry-after": "2"}
            )

    def give_back(self) -> None:
        """End one."""
        self._free.release()


@router.get("/me")
async def me(person: LoggedIn) -> dict[str, str]:
    """Return who is logged in."""
    return {"name": person.name, "role": person.role}


@router.get("/sessions")
def own_sessions(request: Request, person: LoggedIn) -> list[dict[str, Any]]:
    """Return the sessions of who asks, the last used first."""
    pool: Pool = request.app.state.pool
    found = pool.run(lambda cursor: sessions.of_user(cursor, person.user_id))
    return [
        {
            "id": one.id,
            "client_addr": one.client_addr,
            "user_agent": one.user_agent,
            "created_at": one.created_at.isoformat(),
            "seen_at": one.seen_at.isoformat(),
        }
        for one in found
    ]


@router.delete("/sessions/{session_id}", status_code=204)
def end_session(request: Request, person: LoggedIn, session_id: str) -> Response:
    """End one of the sessions of who asks."""
    pool: Pool = request.app.state.pool
    if not pool.run(lambda cursor: sessions.end_of_user(cursor, person.user_id, session_id)):
        raise ProblemError(404, "not-found", "there is no such session of yours")
    return Response(status_code=204)


@router.get("/fields")
async def fields(_: LoggedIn, log: Log = "access") -> list[dict[str, Any]]:
    """Return the fields of a log's lines, with an example of a condition on each."""
    return [
        {"name": field.name, "kind": field.kind.value, "many": field.many, "example": field.example}
        for field in _TABLES[log].fields.values()
    ]


class Asked(BaseModel):
    """The parameters of a search; a mistyped one is an error."""

    model_config = ConfigDict(extra="forbid")

    log: Log = "access"
    filter: Annotated[str, Field(max_length=8192, description="Lucene's syntax; empty for all lines")] = ""
    since: Annotated[str, Field(max_length=40, description="a time, or how long ago: 90m, 24h, 7d")] = "1h"
    until: Annotated[str, Field(max_length=40, description="the same; empty for the newest lines")] = ""
    limit: Annotated[int, Field(ge=1, le=1000, description="lines at most")] = 100
    before: Annotated[str, Field(max_length=64, description="`next` of the page before")] = ""
    seconds: Annotated[int | None, Field(ge=1, le=600, description="end after this time, or the console's own")] = None


@router.get(
    "/search",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/x-ndjson": {}}, "description": "JSON lines: lines, end or problem"}},
)
async def search(request: Request, _: LoggedIn, asked: Annotated[Asked, Query()]) -> StreamingResponse:
    """Find lines, newest first, and send them as they are found."""
    turns: Turns = request.app.state.turns
    wanted = _wanted(request.app.state.config, asked)
    turns.take()

    async def lines() -> AsyncIterator[bytes]:
        try:
            async for line in stream(request.app.state.pool, wanted):
                yield line
        finally:
            turns.give_back()

    return StreamingResponse(lines(), media_type="application/x-ndjson", headers={"x-accel-buffering": "no"})


class Kept(BaseModel):
    """A search to be kept: its parameters, and who sees it."""

    model_config = ConfigDict(extra="forbid")

    log: Log = "access"
    filter: Annotated[str, Field(max_length=8192)] = ""
    since: Annotated[str, Field(max_length=40)] = "1h"
    until: Annotated[str, Field(max_length=40)] = ""
    shared: bool = False


QueryName = Annotated[str, PathParameter(min_length=1, max_length=100, description="of the saved search")]


@router.get("/queries")
def saved_queries(request: Request, person: LoggedIn) -> list[dict[str, Any]]:
    """Return the saved searches that who asks may see, by name."""
    pool: Pool = request.app.state.pool
    found = pool.run(lambda cursor: saved.visible(cursor, person.user_id))
    return [
        {"name": one.name, "owner": one.owner, "own": one.owner == person.name, "shared": one.shared, **one.state}
        for one in found
    ]


@router.put("/queries/{name:path}", status_code=204)
def save_query(request: Request, person: LoggedIn, name: QueryName, kept: Kept) -> Response:
    """Keep a search under a name; one's own of that name is replaced."""
    pool: Pool = request.app.state.pool
    _wanted(request.app.state.config, Asked(**kept.model_dump(exclude={"shared"})))
    state = {key: value for key, value in kept.model_dump(exclude={"shared"}).items() if value}
    try:
        pool.run(lambda cursor: saved.keep(cursor, person.user_id, name, state, shared=kept.shared))
    except saved.TooManyError as error:
        raise ProblemError(409, "too-many", str(error)) from None
    return Response(status_code=204)


@router.delete("/queries/{name:path}", status_code=204)
def forget_query(request: Request, person: LoggedIn, name: QueryName) -> Response:
    """Remove one's own saved search."""
    pool: Pool = request.app.state.pool
    if not pool.run(lambda cursor: saved.forget(cursor, person.user_id, name)):
        raise ProblemError(404, "not-found", "you have no saved search of this name")
    return Response(status_code=204)


class AskedTraffic(BaseModel):
    """The parameters of traffic; a mistyped one is an error."""

    model_config = ConfigDict(extra="forbid")

    since: Annotated[str, Field(max_length=40, description="a time, or how long ago: 90m, 24h, 7d")] = "24h"
    until: Annotated[str, Field(max_length=40, description="the same; empty for now")] = ""
    host: Annotated[str, Field(max_length=64, description="of this balancer alone")] = ""
    route: Annotated[str, Field(max_length=16, description="of this class of routes alone")] = ""


@router.get("/traffic")
def traffic_of(request: Request, _: LoggedIn, asked: Annotated[AskedTraffic, Query()]) -> dict[str, Any]:
    """Count requests, bytes and latency from the minute roll-ups: as series, and by balancer and class of routes."""
    config: ConsoleConfig = request.app.state.config
    pool: Pool = request.app.state.pool
    begin, end = _span(config, asked.since, asked.until)
    end = end or datetime.datetime.now(datetime.UTC)
    wanted = traffic.Asked(begin.replace(second=0, microsecond=0), end, asked.host, asked.route, config.zone)
    if end - begin > _LONGEST_TRAFFIC:
        raise ProblemError(422, "invalid-parameter", f"at most {_LONGEST_TRAFFIC.days} days", parameter="since")

    def rows(cursor: Any, statement: Sql) -> Any:
        cursor.execute(statement.text, statement.parameters)
        return cursor.fetchall()

    with pool.own(_TRAFFIC_S + 1) as connection, connection.cursor() as cursor:
        cursor.execute(bound_of(cursor)(_TRAFFIC_S))
        drawn = traffic.series(wanted, rows(cursor, traffic.series_of(wanted)))
        return drawn | traffic.tables(rows(cursor, traffic.tables_of(wanted)))


def _wanted(config: ConsoleConfig, asked: Asked) -> Wanted:
    now = datetime.datetime.now(datetime.UTC)
    begin, end = _span(config, asked.since, asked.until)
    table = _TABLES[asked.log]
    try:
        wanted = question(parse(asked.filter.strip() or "*", table), table, now)
    except QueryError as error:
        raise ProblemError(
            422, "invalid-filter", error.problem, column=error.column, length=len(error.token), hint=error.hint
        ) from None
    try:
        place = place_of(asked.before) if asked.before else None
    except ValueError as error:
        raise ProblemError(422, "invalid-parameter", f"before: {error}", parameter="before") from None
    most = config.search.seconds
    return Wanted(wanted, Windows(begin, end, now), asked.limit, min(asked.seconds or most, most), place)


def _span(config: ConsoleConfig, since: str, until: str) -> tuple[datetime.datetime, datetime.datetime | None]:
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
