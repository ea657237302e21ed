"""``error``: nginx's error log.

``2026/01/02 03:04:05 [error] PID#TID: *CONNECTION MESSAGE, client: …, server: …, request: "…", upstream: "…",
host: "…", referrer: "…"``; what follows the message is there only for errors of a request.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from obsctl.lines.formats import clock
from obsctl.lines.formats.line import ABSENT, ErrorLine, LineError

_head = re.compile(
    r"(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) \[([a-z]{1,16})\] (\d{1,18})#(\d{1,18}): (?:\*(\d{1,18}) )?(.*)",
    re.DOTALL | re.ASCII,
).fullmatch
# A quoted value of the context may hold quotes: nginx does not escape here. Each ends at the next key or at the end.
_KEYS = ("request", "subrequest", "upstream", "host", "referrer")


def _until(keys: tuple[str, ...]) -> str:
    """Return a pattern for all up to the next of these keys, or to the quote that ends the line.

    Possessive, so that a hostile line costs one pass.
    """
    return rf'(?:(?!"?, (?:{"|".join(keys)}): "|"\Z).)*+'


_context = re.compile(
    r"(?P<addr>[^,\s]+)"
    rf"(?:, server: (?P<server>{_until(_KEYS)}))?"
    rf'(?:, request: "(?P<request>{_until(_KEYS[1:])})")?'
    rf'(?:, subrequest: "{_until(_KEYS[2:])}")?'
    rf'(?:, upstream: "(?P<upstream>{_until(_KEYS[3:])})")?'
    rf'(?:, host: "(?P<host>{_until(_KEYS[4:])})")?'
    r'(?:, referrer: "(?P<referer>.*)")?',
    re.DOTALL,
).fullmatch
_CLIENT = ", client: "
#: Places tried as the beginning of the context, from the end: a hostile line may hold thousands.
_CLIENT_TRIES = 8
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
        connection_id=int(connection) if connection else ABSENT,
        message=message,
    )
    _take_context(line)
    _require_fit(line)
    return line


def _take_context(line: ErrorLine) -> None:
    """Move the request's context from the message into fields.

    What an application wrote may itself hold ``, client: ``; the context is the last place that reads as one.
    """
    at = len(line.message)
    for _ in range(_CLIENT_TRIES):
        at = line.message.rfind(_CLIENT, 0, at)
        if at < 0:
            return
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


def _require_fit(line: ErrorLine) -> None:
    if len(line.message.encode()) > _MESSAGE_BYTES:
        raise LineError("field_length", f"message is longer than {_MESSAGE_BYTES} bytes")
    for name in ("client_addr", "server_name", "vhost"):
        if len(getattr(line, name)) > 255:
            raise LineError("field_length", f"{name} is longer than 255 characters")
    for name in ("request", "upstream", "referer"):
        if len(getattr(line, name).encode()) > _TEXT_BYTES:
            raise LineError("field_length", f"{name} is longer than {_TEXT_BYTES} bytes")
