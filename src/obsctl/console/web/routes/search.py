"""Search and saved searches: the page and its calls of the API."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi import Path as PathParameter
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from obsctl.console import completion
from obsctl.console.config import ConsoleConfig
from obsctl.console.database import Pool
from obsctl.console.people import saved
from obsctl.console.people.scope import Scope
from obsctl.console.people.sessions import Person
from obsctl.console.web import found
from obsctl.console.web.found import JsonLines, Wanted, place_of, stream
from obsctl.console.web.guard import LoggedIn
from obsctl.console.web.page import show_with_script
from obsctl.console.web.parameters import TABLES, Filter, Log, Since, Until, span
from obsctl.console.web.problems import ProblemError
from obsctl.console.web.scope import Scoped, filter_for
from obsctl.console.web.turns import SharedTurns
from obsctl.search.question import question
from obsctl.search.run import plain
from obsctl.search.windows import Window, Windows

pages = APIRouter(include_in_schema=False)
api = APIRouter(prefix="/v1")

#: Texts that the page's script puts together.
TEXTS = (
    "searching", "found_all", "found_more", "out_of_time", "stopped", "lost", "only_this", "not_this", "around_this",
    "all_fields", "shared_by", "lines_of", "histogram",
)  # fmt: skip


@pages.get("/search")
async def search_page(request: Request) -> Response:
    """Show the search; its state is the address's."""
    return await show_with_script(request, "search", TEXTS)


@api.get("/fields")
async def fields(_: LoggedIn, log: Log = "access") -> list[dict[str, Any]]:
    """Return the fields of a log's lines, with an example of a condition on each."""
    return [
        {"name": field.name, "kind": field.kind.value, "many": field.many, "example": field.example}
        for field in TABLES[log].fields.values()
    ]


class AskedValues(BaseModel):
    """The parameters of a completion; a mistyped one is an error."""

    model_config = ConfigDict(extra="forbid")

    log: Log = "access"
    field: Annotated[str, Field(max_length=64, description="name of a field of the log")]
    prefix: Annotated[str, Field(max_length=200, description="how the values begin")] = ""


@api.get("/values")
def field_values(request: Request, scope: Scoped, asked: Annotated[AskedValues, Query()]) -> list[dict[str, Any]]:
    """Return values of a field as a filter writes them: those that are known, else the most frequent of late."""
    table = TABLES[asked.log]
    if asked.field not in table.fields:
        raise ProblemError(422, "invalid-parameter", f"field: there is no {asked.field!r}", parameter="field")
    field = table.fields[asked.field]
    seen = filter_for(scope, "", table)
    known = completion.known(field, asked.prefix)
    if known is not None:
        return [{"text": text, "lines": None} for text in known]
    pool: Pool = request.app.state.pool
    with pool.own(completion.SECONDS + 1) as connection, connection.cursor() as cursor:
        counted = completion.frequent(
            cursor, table, field, asked.prefix, datetime.datetime.now(datetime.UTC), seen=seen
        )
    return [{"text": text, "lines": lines} for text, lines in counted]


class AskedLines(BaseModel):
    """Which lines; a mistyped parameter is an error."""

    model_config = ConfigDict(extra="forbid")

    log: Log = "access"
    filter: Filter = ""
    since: Since = "1h"
    until: Until = ""


class Asked(AskedLines):
    """The parameters of a search."""

    limit: Annotated[int, Field(ge=1, le=1000, description="lines at most")] = 100
    before: Annotated[str, Field(max_length=64, description="`next` of the page before")] = ""
    seconds: Annotated[int | None, Field(ge=1, le=600, description="end after this time, or the console's own")] = None


@api.get(
    "/search",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/x-ndjson": {}}, "description": "JSON lines: lines, end or problem"}},
)
async def search(
    request: Request, person: LoggedIn, scope: Scoped, asked: Annotated[Asked, Query()]
) -> StreamingResponse:
    """Find lines, newest first, and send them as they are found."""
    wanted = _wanted(request.app.state.config, scope, asked)
    return _streamed(request, person, request.app.state.turns, wanted, found.lines)


@api.get(
    "/histogram",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/x-ndjson": {}}, "description": "JSON lines: counts, end or problem"}},
)
async def histogram(
    request: Request, person: LoggedIn, scope: Scoped, asked: Annotated[AskedLines, Query()]
) -> StreamingResponse:
    """Count the lines of a search by time, the newest first, and send the numbers as they are counted."""
    wanted = _wanted(request.app.state.config, scope, Asked(**asked.model_dump()))
    return _streamed(request, person, request.app.state.histogram_turns, wanted, found.counts)


@api.get("/statement")
async def statement(request: Request, scope: Scoped, asked: Annotated[AskedLines, Query()]) -> dict[str, Any]:
    """Return the SQL of a search over its whole time: its text, and the values that stand for its question marks."""
    wanted = _wanted(request.app.state.config, scope, Asked(**asked.model_dump()))
    begin, end = span(request.app.state.config, asked.since, asked.until)
    sql = wanted.question.statement(Window(begin, end), wanted.limit)
    text = sql.text.replace("%s", "?").replace("%%", "%")
    return {"text": text, "parameters": [plain(value) for value in sql.parameters]}


def _streamed(
    request: Request,
    person: Person,
    turns: SharedTurns,
    wanted: Wanted,
    messages: Callable[[Any, Wanted], Iterator[dict[str, Any]]],
) -> JsonLines:
    turns.take(person.user_id)
    lines = stream(request.app.state.pool, wanted.seconds, lambda cursor: messages(cursor, wanted))
    return JsonLines(lines, wanted.seconds, ended=lambda: turns.give_back(person.user_id))


class Kept(BaseModel):
    """A search to be kept: its parameters, and who sees it."""

    model_config = ConfigDict(extra="forbid")

    log: Log = "access"
    filter: Filter = ""
    since: Since = "1h"
    until: Until = ""
    columns: Annotated[str, Field(max_length=1000, pattern="^[a-z_,]*$", description="of the table")] = ""
    shared: bool = False


QueryName = Annotated[str, PathParameter(min_length=1, max_length=100, description="of the saved search")]


@api.get("/queries")
def saved_queries(request: Request, person: LoggedIn) -> list[dict[str, Any]]:
    """Return the saved searches that who asks may see, by name."""
    pool: Pool = request.app.state.pool
    visible = pool.run(lambda cursor: saved.visible(cursor, person.user_id))
    return [
        {"name": one.name, "owner": one.owner, "own": one.owner == person.name, "shared": one.shared, **one.state}
        for one in visible
    ]


@api.put("/queries/{name:path}", status_code=204)
def save_query(request: Request, person: LoggedIn, scope: Scoped, name: QueryName, kept: Kept) -> Response:
    """Keep a search under a name; one's own of that name is replaced."""
    pool: Pool = request.app.state.pool
    _wanted(request.app.state.config, scope, Asked(**kept.model_dump(exclude={"shared", "columns"})))
    state = {key: value for key, value in kept.model_dump(exclude={"shared"}).items() if value}
    try:
        pool.run(lambda cursor: saved.keep(cursor, person.user_id, name, state, shared=kept.shared))
    except saved.TooManyError as error:
        raise ProblemError(409, "too-many", str(error)) from None
    return Response(status_code=204)


@api.delete("/queries/{name:path}", status_code=204)
def forget_query(request: Request, person: LoggedIn, name: QueryName) -> Response:
    """Remove one's own saved search."""
    pool: Pool = request.app.state.pool
    if not pool.run(lambda cursor: saved.forget(cursor, person.user_id, name)):
        raise ProblemError(404, "not-found", "you have no saved search of this name")
    return Response(status_code=204)


def _wanted(config: ConsoleConfig, scope: Scope, asked: Asked) -> Wanted:
    now = datetime.datetime.now(datetime.UTC)
    begin, end = span(config, asked.since, asked.until)
    table = TABLES[asked.log]
    wanted = question(filter_for(scope, asked.filter, table), table, now)
    try:
        place = place_of(asked.before) if asked.before else None
    except ValueError as error:
        raise ProblemError(422, "invalid-parameter", f"before: {error}", parameter="before") from None
    most = config.search.seconds
    return Wanted(wanted, Windows(begin, end, now), asked.limit, min(asked.seconds or most, most), place)
