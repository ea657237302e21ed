"""A search for a browser: it runs in its own thread, sends lines as it finds them, and ends when the browser leaves."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import datetime
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, NamedTuple

import msgspec
from fastapi.responses import StreamingResponse

from obsctl.console.database import DatabaseAwayError, Pool
from obsctl.console.web.guard import Receive, Scope, Send
from obsctl.core.utc import timestamp
from obsctl.search.question import Place, Question
from obsctl.search.run import histogram, plain, search
from obsctl.search.windows import Windows

#: How long a statement may exceed the search's time limit before the connection is dropped, seconds.
_MARGIN_S = 5.0
#: How long a client may read on after the time limit, seconds.
_READING_S = 30.0
#: The possible lengths of a part of a histogram, seconds, and the most parts of one.
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 43_200, 86_400, 7 * 86_400)
_MOST_PARTS = 120


class Wanted(NamedTuple):
    """A search and its limits.

    Attributes:
        question: the statement to run.
        windows: the time range.
        limit: how many lines at most.
        seconds: how long.
        before: only lines older than this one.
    """

    question: Question
    windows: Windows
    limit: int
    seconds: float
    before: Place | None


async def stream(
    pool: Pool, seconds: float, messages: Callable[[Any], Iterator[dict[str, Any]]]
) -> AsyncIterator[bytes]:
    """Yield messages as JSON lines; when the client disconnects, the statement that produces them is killed.

    Args:
        pool: of connections; the search gets its own one.
        seconds: time limit.
        messages: yields them, given a cursor. If the database fails, a message of the ``kind`` ``problem`` follows.
    """
    loop = asyncio.get_running_loop()
    out: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
    stopped = threading.Event()
    number = 0

    def put(message: dict[str, Any] | None) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(out.put_nowait, message)

    def work() -> None:
        nonlocal number
        try:
            with pool.own(seconds + _MARGIN_S) as connection:
                number = connection.thread_id()
                if stopped.is_set():
                    return
                with connection.cursor() as cursor:
                    for message in messages(cursor):
                        if stopped.is_set():
                            return
                        put(message)
        except DatabaseAwayError as error:
            if not stopped.is_set():
                put({"kind": "problem", "code": "database-away", "detail": str(error)})
        finally:
            number = 0
            put(None)

    thread = threading.Thread(target=work, name="search", daemon=True)
    thread.start()
    try:
        while (message := await out.get()) is not None:
            yield msgspec.json.encode(message) + b"\n"
    finally:
        stopped.set()
        if running := number:
            await asyncio.shield(asyncio.to_thread(pool.kill, running))


class JsonLines(StreamingResponse):
    """Answers with JSON lines until they end, the client leaves, or it has not read them in time.

    Without that limit a client that stops reading, such as a pager or a computer that sleeps, would keep its place.

    Args:
        lines: from :func:`stream`.
        seconds: their time limit.
        ended: called at the end, even if no line was sent.
    """

    def __init__(self, lines: AsyncIterator[bytes], seconds: float, *, ended: Callable[[], None]) -> None:
        super().__init__(lines, media_type="application/x-ndjson", headers={"x-accel-buffering": "no"})
        self._seconds = seconds + _READING_S
        self._ended = ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._seconds):
                    await super().__call__(scope, receive, send)
        finally:
            self._ended()


def lines(cursor: Any, wanted: Wanted) -> Iterator[dict[str, Any]]:
    """Yield a search: ``lines`` (newest first, with ``reached``, from where on all was searched), and at last ``end``.

    In ``end``, ``whole`` says whether the whole time range was searched, and ``next`` where the next page begins, or
    None.
    """
    fields = wanted.question.fields
    last: Place | None = wanted.before
    whole, left = wanted.windows.next() is None, wanted.limit
    for part in search(
        cursor, wanted.question, wanted.windows, limit=wanted.limit, seconds=wanted.seconds, before=wanted.before
    ):
        whole, last, left = part.whole, part.last or last, left - len(part.lines)
        yield {
            "kind": "lines",
            "lines": [dict(zip(fields, map(plain, line), strict=True)) for line in part.lines],
            "reached": timestamp(part.reached),
        }
    more = left <= 0 and last is not None
    yield {"kind": "end", "whole": whole, "next": cursor_of(last) if more and last else None}


def counts(cursor: Any, wanted: Wanted) -> Iterator[dict[str, Any]]:
    """Yield how many lines there are by time: ``counts`` (``at``: beginnings, seconds since the epoch; ``lines``).

    A part may be in two messages; its numbers must be added. At last ``end``, with ``whole``.
    """
    windows = wanted.windows
    span_s = (windows.reached - windows.since).total_seconds()
    step_s = next((step for step in _STEPS_S if span_s / step <= _MOST_PARTS), _STEPS_S[-1])
    if wanted.question.is_rolled_up(step_s):
        windows = windows.whole_minutes()
    whole = windows.next() is None
    for part in histogram(cursor, wanted.question, windows, step_s=step_s, seconds=wanted.seconds):
        whole = part.whole
        yield {
            "kind": "counts",
            "step_s": step_s,
            "at": list(part.lines),
            "lines": list(part.lines.values()),
            "reached": timestamp(part.reached),
        }
    yield {"kind": "end", "whole": whole}


def cursor_of(place: Place) -> str:
    """Return where a page ends, as a text for the next request."""
    moment = round(place.ts.timestamp() * 1000)
    return base64.urlsafe_b64encode(moment.to_bytes(8, "big") + place.line_id).decode().rstrip("=")


def place_of(text: str) -> Place:
    """Return where a page begins.

    Raises:
        ValueError: the text was not made by :func:`cursor_of`.
    """
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("not a cursor of this console") from None
    if len(raw) != 24:
        raise ValueError("not a cursor of this console")
    try:
        moment = datetime.datetime.fromtimestamp(int.from_bytes(raw[:8], "big") / 1000, datetime.UTC)
    except (ValueError, OverflowError, OSError):
        raise ValueError("not a cursor of this console") from None
    return Place(moment, raw[8:])
