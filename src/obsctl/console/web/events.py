"""Server-sent events (WHATWG HTML, 9.2) about what arrives in Kafka; they end when the reader's login ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable

import msgspec
from fastapi import Request
from fastapi.responses import StreamingResponse

from obsctl.console.database import DatabaseAwayError
from obsctl.console.live.feed import Feed
from obsctl.console.live.live import Live
from obsctl.console.people.scope import Scope as Lines
from obsctl.console.web.guard import Receive, Scope, Send, still_logged_in
from obsctl.console.web.problems import ProblemError
from obsctl.console.web.scope import scope_of

MEDIA_TYPE = "text/event-stream"
#: How soon a browser reconnects after the connection was lost, milliseconds.
_RETRY = b"retry: 2000\n\n"
#: How often something is sent at least, because proxies end idle connections; and how often it is checked that the
#: reader is still logged in and may still see the same lines (seconds).
_HEARTBEAT_S = 15.0
_HEARTBEAT = b":\n\n"


def live_of(request: Request) -> Live:
    """Return the console's live views.

    Raises:
        ProblemError: the console has no access to Kafka.
    """
    live: Live | None = request.app.state.live
    if live is None:
        detail = "this console has no access to Kafka: its configuration has no section kafka"
        raise ProblemError(503, "no-kafka", detail)
    return live


def event(name: str, data: bytes) -> bytes:
    """Return an event.

    Args:
        name: its type.
        data: JSON, which has no line break.
    """
    return b"event: %s\ndata: %s\n\n" % (name.encode(), data)


class Events(StreamingResponse):
    """Answers with events until the browser leaves, its login ends, or it may see other lines than before.

    The event ``ready`` says that lines are read from now on, ``trouble`` why they are not.

    Args:
        request: whose login it is.
        lines: which lines the person may see.
        feed: where the lines come from.
        due: returns the events that are due; called only once lines are read.
        every_s: seconds between two calls of ``due``.
        ended: called at the end, even if no event was sent.
    """

    def __init__(
        self,
        request: Request,
        lines: Lines,
        feed: Feed,
        due: Callable[[], Iterable[bytes]],
        every_s: float,
        *,
        ended: Callable[[], None],
    ) -> None:
        super().__init__(
            _events(request, lines, feed, due, every_s), media_type=MEDIA_TYPE, headers={"x-accel-buffering": "no"}
        )
        self._ended = ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._ended()


async def _events(
    request: Request, lines: Lines, feed: Feed, due: Callable[[], Iterable[bytes]], every_s: float
) -> AsyncIterator[bytes]:
    said: str | None = None
    heard_at = time.monotonic()
    yield _RETRY
    while True:
        if feed.trouble is not None and feed.trouble != said:
            said = feed.trouble
            yield event("trouble", msgspec.json.encode({"detail": said})) if said else event("ready", b"{}")
        if said is not None:
            for one in due():
                yield one
        if time.monotonic() - heard_at > _HEARTBEAT_S:
            heard_at = time.monotonic()
            if not await _still_sees(request, lines):
                return
            yield _HEARTBEAT
        await asyncio.sleep(every_s)


async def _still_sees(request: Request, lines: Lines) -> bool:
    try:
        return await scope_of(request, await still_logged_in(request)) == lines
    except ProblemError:
        return False
    except DatabaseAwayError:
        # While the database does not answer, the events continue, because they only need Kafka; the login cannot be
        # checked then.
        return True
