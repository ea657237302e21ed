"""``error``: nginx's error log.

``2026/01/02 03:04:05 [error] PID#TID: *CONNECTION MESSAGE, client: …, server: …, request: "…", upstream: "…",
host: "…", referrer: "…"``; what follows the message is there only for errors of a request or a session. The stream
module also writes ``, udp client: …`` and ends with the bytes of the session; the mail module names the login. nginx
cuts a line at 2,048 bytes, wherever that is.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from obsctl.lines.formats import clock
from obsctl.lines.formats.line import ABSENT, UNSEEN, ErrorLine, LineError, fit
from obsctl.lines.formats.peer import SOCKET, address

_head = re.compile(
    r"(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) \[([a-z]{1,16})\] (\d{1,18})#(\d{1,18}): (?:\*(\d{1,18}) )?(.*)",
    re.DOTALL | re.ASCII,
).fullmatch
_client = re.compile(r", (?:udp )?client: (?=([^,\s]+))").finditer
#: The context's keys in nginx's order, and the fields that they fill.
_FIELDS = {
    "server": "server_name",
    "login": "",
    "request": "request",
    "subrequest": "",
    "upstream": "upstream",
    "host": "vhost",
    "referrer": "referer",
    "request_id": "",  # OpenResty's
}
#: Keys without a field, whose values stay in the message.
_IN_MESSAGE = frozenset(("login", "request_id"))
_STARTTLS = " using starttls"
#: What the stream module ends with: how many bytes a session has moved.
_SESSION = ", bytes from/to client:"
#: Places tried as the beginning of the context: a hostile line may hold thousands.
_CLIENT_TRIES = 8


#: A key, and the quote in front of its value if there is one.
_pair = re.compile(r', ([a-z_]+): ("?)').match
#: The end of a value without quotes.
_plain_end = re.compile(r"(?=, [a-z_/ ]+:|\Z)").search


class _Key(NamedTuple):
    """A key of the context.

    Attributes:
        place: in nginx's order.
        quoted_end: finds the end of a quoted value. It may itself hold quotes, which nginx does not escape here; it
            ends in front of a key that may follow.
        next_begins: how those keys begin.
    """

    place: int
    quoted_end: Callable[[str, int], re.Match[str] | None]
    next_begins: tuple[str, ...]


def _keys() -> Iterator[tuple[str, _Key]]:
    names = list(_FIELDS)
    for place, name in enumerate(names, 1):
        later = [f"(?:{'|'.join(names[place:])}): "] if names[place:] else []
        following = "|".join((*(f", {key}" for key in later), _SESSION, r"\Z"))
        yield (
            name,
            _Key(place, re.compile(rf'"(?={following})').search, tuple(f', {key}: "' for key in names[place:])),
        )


_KEYS = dict(_keys())


class _Context(NamedTuple):
    """What is read behind ``client:``.

    Attributes:
        values: of the keys, by name.
        left: what belongs to no field.
        cut: the key whose value lost its end, or ''.
        whole: it reads as a context up to its end.
    """

    values: dict[str, str]
    left: str
    cut: str
    whole: bool


def parser(zone_name: str) -> Callable[[str], ErrorLine]:
    """Return the parse function for hosts whose clock shows the given IANA zone, which the lines do not name."""
    seconds = clock.zoneless(zone_name)

    def parse(text: str) -> ErrorLine:
        return _parse(text, seconds)

    return parse


def _parse(text: str, seconds: dict[str, str]) -> ErrorLine:
    match = _head(text) or _head(text.lstrip(UNSEEN))
    if match is None:
        raise LineError("parse", "not a line of nginx's error log")
    time, level, pid, tid, connection, message = match.groups()
    line = ErrorLine(
        ts=seconds[time] + ".000",
        level=level,
        pid=int(pid),
        tid=int(tid),
        connection_id=int(connection) if connection else ABSENT,
        message=message.rstrip("\r"),
    )
    _take_context(line)
    fit(line)
    return line


def _take_context(line: ErrorLine) -> None:
    """Move the context of a request or session from the message into fields.

    What an application wrote may itself hold ``, client: ``; the context is the last place that reads as one up to the
    end. If no place does, nginx may have cut the line: then it is the first place that begins as one, since what
    follows there (target, referrer) is chosen by the client.
    """
    places = list(_client(line.message))
    for place in itertools.islice(reversed(places), _CLIENT_TRIES):
        context = _read_context(line.message, place)
        if context is not None and context.whole:
            return _fill(line, place, context)
    for place in itertools.islice(places, _CLIENT_TRIES):
        context = _read_context(line.message, place)
        if context is not None and "server" in context.values:
            return _fill(line, place, context)
    return None


def _read_context(text: str, client: re.Match[str]) -> _Context | None:
    """Read the pairs behind the client; None where nginx has not written them.

    It writes addresses and sockets as clients, and no quote in a value that is not quoted.
    """
    if not client[1].startswith(SOCKET) and not address(client[1]):
        return None
    values: dict[str, str] = {}
    left = ""
    at = client.end(1)
    if text.startswith(_STARTTLS, at):
        left = _STARTTLS
        at += len(_STARTTLS)
    place = 0
    while begun := _pair(text, at):
        name, quote = begun.groups()
        key = _KEYS.get(name)
        if key is None or key.place <= place:
            break
        start, place = begun.end(), key.place
        end = key.quoted_end(text, start) if quote else _plain_end(text, start)
        if end is None:
            value, quote, tail = text[start:].rpartition('"')
            if quote and any(following.startswith(tail) for following in key.next_begins):
                return _Context(values | {name: value}, left, "", whole=False)
            return _Context(values | {name: text[start:]}, left, name, whole=False)
        values[name] = text[start : end.start()]
        if not quote and '"' in values[name]:
            return None
        if name in _IN_MESSAGE:
            left += text[at : end.end()]
        at = end.end()
    tail = text[at:]
    return _Context(values, left + tail, "", whole=not tail or tail.startswith(_SESSION))


def _fill(line: ErrorLine, client: re.Match[str], context: _Context) -> None:
    line.message = line.message[: client.start()] + context.left
    line.client_addr = address(client[1]) or client[1]
    for name, value in context.values.items():
        if _FIELDS[name]:
            setattr(line, _FIELDS[name], value)
    line.cut_fields = _FIELDS.get(context.cut, "")
