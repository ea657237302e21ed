"""``error``: nginx's error log.

``2026/01/02 03:04:05 [error] PID#TID: *CONNECTION MESSAGE, client: …, server: …, request: "…", upstream: "…",
host: "…", referrer: "…"``; what follows the message is there only for errors of a request.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from obsctl.pipeline.formats import clock
from obsctl.pipeline.formats.line import ErrorLine, LineError

_head = re.compile(
    r"(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) \[([a-z]{1,16})\] (\d{1,18})#(\d{1,18}): (?:\*(\d{1,18}) )?(.*)",
    re.DOTALL | re.ASCII,
).fullmatch
# A quoted value of the context may hold quotes: nginx does not escape here. Each ends at the next key or at the end.
_context = re.compile(
    r"(?P<addr>[^,\s]+)"
    r"(?:, server: (?P<server>.*?))?"
    r'(?:, request: "(?P<request>.*?)")?'
    r'(?:, subrequest: ".*?")?'
    r'(?:, upstream: "(?P<upstream>.*?)")?'
    r'(?:, host: "(?P<host>.*?)")?'
    r'(?:, referrer: "(?P<referer>.*?)")?',
    re.DOTALL,
).fullmatch
_CLIENT = ", client: "
#: The message's column holds 16 MiB; the other texts as in the access log.
_MESSAGE_BYTES = 2**24 - 1
_TEXT_BYTES = 65_535


def parser(zone_name: str) -> Callable[[str], ErrorLine]:
    """Return the parse function for hosts whose clock shows the given IANA zone: the lines do not tell it."""
    seconds = clock.zoneless(zone_name)

    def parse(text: str) -> ErrorLine:
        return _parse(text, seconds)

    return parse


def _parse(text: str, seconds: dict[str, str]) -> ErrorLine:
    match = _head(text)
    if match is None:
        raise LineError("parse", "not a line of nginx's error log")
    time, level, pid, tid, connection, message = match.groups()
    line = ErrorLine(
        ts=seconds[time] + ".000",
        level=level,
        pid=int(pid),
        tid=int(tid),
        connection_id=int(connection) if connection else None,
        message=message,
    )
    _take_context(line)
    _require_fit(line)
    return line


def _take_context(line: ErrorLine) -> None:
    """Move the request's context from the message into fields.

    What an application wrote may itself hold ``, client: ``; the context is the last place that reads as one.
    """
    at = line.message.rfind(_CLIENT)
    while at >= 0:
        match = _context(line.message[at + len(_CLIENT) :])
        if match is not None:
            line.message = line.message[:at]
            line.client_addr = match["addr"]
            line.server_name = match["server"] or ""
            line.request = match["request"] or ""
            line.upstream = match["upstream"] or ""
            line.vhost = match["host"] or ""
            line.referer = match["referer"] or ""
            return
        at = line.message.rfind(_CLIENT, 0, at)


def _require_fit(line: ErrorLine) -> None:
    if len(line.message.encode()) > _MESSAGE_BYTES:
        raise LineError("field_length", f"message is longer than {_MESSAGE_BYTES} bytes")
    for name in ("client_addr", "server_name", "vhost"):
        if len(getattr(line, name)) > 255:
            raise LineError("field_length", f"{name} is longer than 255 characters")
    for name in ("request", "upstream", "referer"):
        if len(getattr(line, name).encode()) > _TEXT_BYTES:
            raise LineError("field_length", f"{name} is longer than {_TEXT_BYTES} bytes")
