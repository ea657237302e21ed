"""A search for a browser: it runs in its own thread, sends lines as it finds them, and ends with its reader."""

from __future__ import annotations

import asyncio
import base64
import binascii
import datetime
import threading
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import msgspec

from obsctl.console.database import DatabaseAwayError, Pool
from obsctl.core.utc import timestamp
from obsctl.search.question import Place, Question
from obsctl.search.run import plain, search
from obsctl.search.windows import Windows

#: Seconds that a statement may take beyond the search's own time before the connection is given up.
_MARGIN_S = 5.0


class Wanted(NamedTuple):
    """What is searched, and how far.

    Attributes:
        question: the statement.
        windows: the time in which it is.
        limit: how many lines at most.
        seconds: how long.
        before: only lines older than this one.
    """

    question: Question
    windows: Windows
    limit: int
    seconds: float
    before: Place | None


async def stream(pool: Pool, wanted: Wanted) -> AsyncIterator[bytes]:
    """Yield the search as JSON lines; whoever stops reading ends its statement.

    Each line is an object with ``kind``: ``lines`` (newest first, and ``reached``, from where on all was looked at),
    ``end`` (``whole``: the search came to its end; ``next``: where the next page begins, or null), or ``problem``.
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
            with pool.own(wanted.seconds + _MARGIN_S) as connection:
                number = connection.thread_id()
                if stopped.is_set():
                    return
                with connection.cursor() as cursor:
                    for message in _messages(cursor, wanted):
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


def _messages(cursor: Any, wanted: Wanted) -> Any:
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


def cursor_of(place: Place) -> str:
    """Return where a page ends, as a text that the next request repeats."""
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
