"""Live tail: the page and its call of the API."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, ConfigDict

from obsctl.console.live.tails import Tail
from obsctl.console.web.events import MEDIA_TYPE, Events, event, live_of
from obsctl.console.web.guard import LoggedIn
from obsctl.console.web.page import show_with_script
from obsctl.console.web.parameters import TABLES, Filter, Log
from obsctl.console.web.scope import Scoped, filter_for
from obsctl.console.web.turns import SharedTurns
from obsctl.query.predicate import compile_predicate

pages = APIRouter(include_in_schema=False)
api = APIRouter(prefix="/v1")

#: Texts that the page's script puts together.
TEXTS = (
    "lost", "no_lines", "no_kafka", "only_this", "not_this", "around_this", "all_fields", "pause", "resume",
    "tail_follows", "tail_waits", "tail_paused", "tail_count", "tail_waiting", "tail_dropped", "tail_left_out",
    "tail_unseen", "lines_of",
)  # fmt: skip
#: How often a browser gets the lines that have arrived, seconds.
_EVERY_S = 0.25


@pages.get("/tail")
async def tail_page(request: Request) -> Response:
    """Show the tail; its state is the address's."""
    return await show_with_script(request, "tail", TEXTS)


class AskedTail(BaseModel):
    """The parameters of a tail; a mistyped one is an error."""

    model_config = ConfigDict(extra="forbid")

    log: Log = "access"
    filter: Filter = ""


@api.get(
    "/tail",
    response_class=StreamingResponse,
    responses={200: {"content": {MEDIA_TYPE: {}}, "description": "events: ready, lines, left-out, trouble"}},
)
def tail(request: Request, person: LoggedIn, scope: Scoped, asked: Annotated[AskedTail, Query()]) -> Events:
    """Follow the lines that fit, as they arrive in Kafka, but for requests of obsctl itself and of tests of rules."""
    tails = live_of(request).tails[asked.log]
    table = TABLES[asked.log]
    fits = compile_predicate(filter_for(scope, asked.filter, table), table)
    turns: SharedTurns = request.app.state.streams
    turns.take(person.user_id)
    opened = tails.open(fits)

    def ended() -> None:
        tails.close(opened)
        turns.give_back(person.user_id)

    return Events(request, scope, tails.feed, functools.partial(_due, opened), _EVERY_S, ended=ended)


def _due(tail: Tail) -> Iterator[bytes]:
    taken = tail.take()
    if taken.lines:
        yield event("lines", b'{"lines":[%s]}' % b",".join(shown.json for shown in taken.lines))
    if taken.left_out or taken.unseen:
        left_out: dict[str, Any] = {"lines": taken.left_out, "unseen": taken.unseen}
        yield event("left-out", msgspec.json.encode(left_out))
