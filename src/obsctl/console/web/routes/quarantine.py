"""The quarantine: lines that could not be read, why, and their replay."""

from __future__ import annotations

import datetime
import logging
import shlex
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from obsctl.console import quarantine
from obsctl.console.config import ConsoleConfig
from obsctl.console.database import Pool
from obsctl.console.people import audit
from obsctl.console.people.audit import Actor
from obsctl.console.people.sessions import Person
from obsctl.console.quarantine import Replay, Wanted
from obsctl.console.web.found import cursor_of, place_of
from obsctl.console.web.guard import Operator, client_addr
from obsctl.console.web.page import show_with_script
from obsctl.console.web.parameters import Since, Until, span
from obsctl.console.web.problems import ProblemError
from obsctl.console.web.scope import Unbounded
from obsctl.core.errors import ConfigError
from obsctl.core.utc import timestamp
from obsctl.query.sql import Sql
from obsctl.search.question import Place
from obsctl.store.interface import StoreUnavailableError
from obsctl.store.mysql.time_limit import bound_of

LOG = logging.getLogger("obsctl.console")

pages = APIRouter(include_in_schema=False)
api = APIRouter(prefix="/v1")

#: Texts that the page's script puts together.
TEXTS = (
    "lost", "no_quarantined", "quarantined_count", "more_quarantined", "all_reasons", "all_topics", "try_replay",
    "details", "replay_plan", "replay_done", "replay_stays", "replay_left", "replay_none", "cut_value", "no_value",
    "choose_reason",
)  # fmt: skip
#: Time limit for the statements of a page, seconds.
_PAGE_S = 4.0

Reason = Annotated[
    str,
    Field(
        max_length=64,
        pattern=r"^[A-Za-z0-9_:.-]*$",
        description="parse, time, ...; refused for what the database refused",
    ),
]


@pages.get("/quarantine")
async def quarantine_page(request: Request) -> Response:
    """Show the quarantine; its state is the address's."""
    return await show_with_script(request, "quarantine", TEXTS)


class AskedLines(BaseModel):
    """The parameters of the quarantine; a mistyped one is an error."""

    model_config = ConfigDict(extra="forbid")

    since: Since = "7d"
    until: Until = ""
    reason: Reason = ""
    topic: Annotated[str, Field(max_length=249, pattern=r"^[A-Za-z0-9._-]*$")] = ""
    host: Annotated[str, Field(max_length=255, description="whose shipper sent the line")] = ""
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    before: Annotated[str, Field(max_length=64, description="`next` of the page before")] = ""


@api.get("/quarantine")
def lines(request: Request, _: Unbounded, asked: Annotated[AskedLines, Query()]) -> dict[str, Any]:
    """Return lines of the quarantine, the newest first, and how many there are of each reason in this time.

    ``value`` is the beginning of the record's bytes as text, with escapes for what is invisible or not UTF-8.
    """
    config: ConsoleConfig = request.app.state.config
    pool: Pool = request.app.state.pool
    begin, end = span(config, asked.since, asked.until)
    wanted = Wanted(begin, end, asked.reason, asked.topic, asked.host)
    try:
        before = place_of(asked.before) if asked.before else None
    except ValueError as error:
        raise ProblemError(422, "invalid-parameter", f"before: {error}", parameter="before") from None

    def rows(cursor: Any, statement: Sql) -> Any:
        cursor.execute(statement.text, statement.parameters)
        return cursor.fetchall()

    with pool.own(_PAGE_S + 1) as connection, connection.cursor() as cursor:
        cursor.execute(bound_of(cursor)(_PAGE_S))
        found = rows(cursor, quarantine.page_of(wanted, asked.limit, before))
        reasons = rows(cursor, quarantine.reasons_of(wanted))
        cursor.execute(quarantine.TOPICS)
        topics = [topic for (topic,) in cursor.fetchall()]
    last = found[-1] if len(found) == asked.limit else None
    return {
        "lines": list(map(quarantine.line, found)),
        "next": None if last is None else cursor_of(Place(last[1].replace(tzinfo=datetime.UTC), bytes(last[0]))),
        "reasons": [{"reason": reason, "lines": int(count)} for reason, count in reasons],
        "topics": topics,
    }


class Replayed(BaseModel):
    """Which lines are read again: some by their ids, or those of a reason and a time."""

    model_config = ConfigDict(extra="forbid")

    lines: Annotated[list[Annotated[str, Field(pattern="^[0-9a-f]{32}$")]], Field(max_length=200)] = []
    reason: Reason = ""
    since: Since = "7d"
    until: Until = ""
    limit: Annotated[int, Field(ge=1, le=10_000, description="lines that are looked at, where no ids are given")] = 1000
    dry_run: Annotated[bool, Field(description="only say what would become of them")] = True

    @model_validator(mode="after")
    def _one_way(self) -> Replayed:
        if bool(self.lines) == bool(self.reason):
            raise ValueError("give ids of lines, or a reason")
        return self


@api.post("/quarantine/replay")
def replay(request: Request, person: Operator, _: Unbounded, asked: Replayed) -> dict[str, Any]:
    """Read lines again with the present parsers, and move those that can be read to their tables.

    ``command`` is what does it in a terminal; ``allowed`` says whether the console may do it as well.
    """
    config: ConsoleConfig = request.app.state.config
    moves = Replay(config)
    begin, end = span(config, asked.since, asked.until)
    command = _command(asked.reason, begin, end) if asked.reason else ""
    if not asked.dry_run and not moves.allowed:
        detail = "console.yml has no section replay: this console has no account that may move lines"
        raise ProblemError(403, "forbidden", detail, hint=command or "obsctl consumer replay moves them")
    try:
        if asked.lines:
            counts = moves.lines([bytes.fromhex(one) for one in asked.lines], dry_run=asked.dry_run)
        else:
            counts = moves.selected(Wanted(begin, end, asked.reason), asked.limit, dry_run=asked.dry_run)
    except ConfigError as error:
        raise ProblemError(503, "not-configured", str(error), hint=error.hint) from None
    except StoreUnavailableError as error:
        raise ProblemError(503, "database-away", str(error), hint=error.hint) from None
    if not asked.dry_run:
        _record(request, person, asked, counts)
    return {"dry_run": asked.dry_run, "allowed": moves.allowed, "command": command or None, **counts}


def _command(reason: str, begin: datetime.datetime, end: datetime.datetime | None) -> str:
    words = ["obsctl", "consumer", "replay", "--reason", reason, "--since", timestamp(begin)]
    return shlex.join([*words, *(["--until", timestamp(end)] if end else [])])


def _record(request: Request, person: Person, asked: Replayed, counts: dict[str, Any]) -> None:
    pool: Pool = request.app.state.pool
    thing = asked.reason or ", ".join(asked.lines)
    stays = sum(counts["stays"].values()) + counts["cut"]
    detail = f"moved {counts['moved']}, known {counts['known']}, stay {stays}"
    if asked.reason:
        detail += f"; since {asked.since}" + (f" until {asked.until}" if asked.until else "")
    LOG.info("quarantine.replay", extra={"actor": person.name, "object": thing, "detail": detail})
    actor = Actor(person.name, client_addr(request), person.token)
    pool.run(lambda cursor: audit.write(cursor, actor, "quarantine.replay", thing, detail))
