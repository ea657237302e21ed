"""Live statistics: the page and its call of the API.

It is separate from the traffic page, which shows a chosen time from the database; this page shows the present from
Kafka, even while the database does not answer.
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse

from obsctl.console.web.events import MEDIA_TYPE, Events, event, live_of
from obsctl.console.web.page import show_with_script
from obsctl.console.web.scope import EVERYTHING, Unbounded
from obsctl.console.web.turns import SharedTurns

pages = APIRouter(include_in_schema=False)
api = APIRouter(prefix="/v1")

#: Texts that the page's script puts together.
TEXTS = (
    "lost", "no_lines", "no_kafka", "live_seconds", "live_server_errors", "live_counted", "live_left_out",
    "live_missed", "live_exact",
)  # fmt: skip
#: How often the numbers are sent, seconds.
_EVERY_S = 1.0


@pages.get("/live")
async def live_page(request: Request) -> Response:
    """Show the statistics of the last minutes."""
    return await show_with_script(request, "live", TEXTS)


@api.get(
    "/live",
    response_class=StreamingResponse,
    responses={200: {"content": {MEDIA_TYPE: {}}, "description": "events: ready, numbers, trouble"}},
)
def live(request: Request, person: Unbounded) -> Events:
    """Count the access lines of the last five minutes as they arrive: rate, errors, the most frequent values."""
    statistics = live_of(request).statistics
    turns: SharedTurns = request.app.state.streams
    turns.take(person.user_id)
    statistics.want()

    def due() -> list[bytes]:
        return [event("numbers", statistics.answer())]

    def ended() -> None:
        turns.give_back(person.user_id)

    return Events(request, EVERYTHING, statistics.feed, due, _EVERY_S, ended=ended)
