"""``error``: nginx's error log.

``2026/01/02 03:04:05 [error] PID#TID: *CONNECTION MESSAGE, client: …, server: …, request: "…", upstream: "…",
host: "…", referrer: "…"``; the part after the message is only there for errors of a request or a session. The stream
module also writes ``, udp client: …`` and ends with the bytes of the session; the mail module names the login. nginx
cuts a line at 2,048 bytes, even within a field.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Callable, Iterator
from typing import NamedTuple

from obsctl.lines.formats import clock
from obsctl.lines.formats.format import Format
from obsctl.lines.formats.line import ABSENT, UNSEEN, ErrorLine, LineError, fit
from obsctl.lines.formats.peer import ADDRESSES, SOCKET

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
    "request_id": "",  # from OpenResty
}
#: Keys without a field of their own; their values stay in the message.
_IN_MESSAGE = frozenset(("login", "request_id"))
_STARTTLS = " using starttls"
#: The end of the stream module's messages: how many bytes a session has transferred.
_SESSION = ", bytes from/to client:"
#: The most places that are parsed as a context: a hostile line may contain thousands that begin like one.
_CLIENT_TRIES = 8
#: A message of up to this many bytes was certainly not cut by nginx, which cuts the line, including its head, at
#: 2,048.
_SURELY_WHOLE = 1900
#: Beginnings of messages that repeat an application's text, or a client's text that is not from the request line, and
#: how nginx continues after that text. A module that does not quote its text may continue in any way.
_REPEATING = tuple(
    (re.compile(begins).match, re.compile(rf"(?:{ends})\Z").search)
    for begins, ends in (
        (r'FastCGI sent in stderr: "', r'" while [a-z ,]+'),
        (r'client sent too long header line: "', r'" while [a-z ,]+'),
        (r'user "', r'": password mismatch|" was not found in "[^"]+"'),
        (r"(?:\[client [^\]]*\] )?ModSecurity: ", r"\]"),
        (r"\[lua\] |lua |js: ", ""),
    )
)
#: Within how many characters such a continuation is searched for.
_ENDING_LENGTH = 400
#: What follows a closing quote, and what precedes an opening one.
_BEHIND_CLOSING, _BEFORE_OPENING = " :,.;)]", " ([="


#: A key, and the quote before its value, if any.
_pair = re.compile(r', ([a-z_]+): ("?)').match
#: The end of an unquoted value.
_plain_end = re.compile(r"(?=, [a-z_/ ]+:|\Z)").search


class _Key(NamedTuple):
    """A key of the context.

    Attributes:
        place: in nginx's order.
        quoted_end: finds the end of a quoted value. The value may contain quotes, which nginx does not escape here; it
            ends before a key that may follow.
        next_begins: how the keys that may follow begin.
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
    """The part after ``client:``.

    Attributes:
        values: of the keys, by name.
        left: text that belongs to no field.
        cut: the key whose value was cut, or ''.
        whole: whether all of it is a valid context.
    """

    values: dict[str, str]
    left: str
    cut: str
    whole: bool


def parser(zone_name: str) -> Callable[[str], ErrorLine]:
    """Return the parse function for hosts whose clock is in the given IANA zone, which the lines do not contain."""
    times = clock.zoneless(zone_name)

    def parse(text: str) -> ErrorLine:
        return _parse(text, times)

    return parse


def _parse(text: str, times: dict[str, str]) -> ErrorLine:
    match = _head(text) or _head(text.lstrip(UNSEEN))
    if match is None:
        raise LineError("parse", "not a line of nginx's error log")
    time, level, pid, tid, connection, message = match.groups()
    line = ErrorLine(
        ts=times[time],
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
    """Move the context of a request or session from the message into fields, but only if it is certain."""
    found = _find_context(line.message)
    if found is not None:
        _fill(line, *found)


def _find_context(text: str) -> tuple[re.Match[str], _Context] | None:
    """Return nginx's own context, and where it begins; None if there is none, or if two are possible.

    nginx escapes nothing here, so ``, client: `` may also be in texts that a client chose, after nginx's own context
    (request, host, referrer), or in a text that the message repeats, before it. nginx's context is the first valid
    one, unless that may be part of the message:

    * In messages that repeat an application's text, nginx's own words follow that text, and these must precede the
      context.
    * Other messages name a file, whose path is the decoded target of the request. A context in it is also in the
      request, after nginx's own.

    A text may imitate that as well, so that two contexts are possible. Then neither is used: an error without a client
    is better than one with a forged client.
    """
    ends = next((ends for begins, ends in _REPEATING if begins(text)), None)
    found: tuple[re.Match[str], _Context] | None = None
    tries = 0
    for place in _client(text):
        start = place.start()
        if _opens(text, start) if ends is None else not ends(text, max(0, start - _ENDING_LENGTH), start):
            continue
        tries += 1
        if tries > _CLIENT_TRIES:
            return None
        context = _read_context(text, place)
        if context is None or not (context.whole or "server" in context.values):
            continue
        if found is not None:
            return None
        found = place, context
        if ends is None and not _may_be_of_a_path(text, place):
            break
    return found


def _opens(text: str, end: int) -> bool:
    """Return whether the last quote before ``end`` opens a text: what follows it is not nginx's own."""
    at = text.rfind('"', 0, end)
    behind = text[at + 1 : min(at + 2, end)]
    return at >= 0 and bool(behind) and behind not in _BEHIND_CLOSING and text[at - 1 : at] in _BEFORE_OPENING


def _may_be_of_a_path(text: str, client: re.Match[str]) -> bool:
    """Return whether what looks like the client may be part of a quoted path: then the target after it has it, too."""
    begins = text[client.start() : client.end(1)].partition("/")[0]  # nginx merges slashes in paths
    return '"' in text[: client.start()] and begins in urllib.parse.unquote(text[client.end(1) :])


def _read_context(text: str, client: re.Match[str]) -> _Context | None:
    """Parse the pairs after the client; None if nginx cannot have written them.

    nginx writes addresses and sockets as clients, and neither quotes nor blanks in unquoted values.
    """
    if not ADDRESSES[client[1]] and not client[1].startswith(SOCKET):
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
        if end is None and name in _IN_MESSAGE:
            return _Context(values, left + text[at:], "", whole=False)
        if end is None:
            value, quote, tail = text[start:].rpartition('"')
            if quote and any(following.startswith(tail) for following in key.next_begins):
                return _Context(values | {name: value}, left, "", whole=False)
            return _Context(values | {name: text[start:]}, left, name, whole=False)
        values[name] = text[start : end.start()]
        if not quote and '"' in values[name]:
            return None
        if not quote and " " in values[name]:
            value, _, tail = values[name].rpartition(", ")
            if " " in value or end.start() < len(text) or not any(k.startswith(f", {tail}") for k in key.next_begins):
                return None
            return _Context(values | {name: value}, left, "", whole=False)
        if name in _IN_MESSAGE:
            left += text[at : end.end()]
        at = end.end()
    tail = text[at:]
    # An address at the very end may have been cut.
    ends = not tail and (bool(values) or len(text.encode("utf-8", "replace")) < _SURELY_WHOLE)
    return _Context(values, left + tail, "", whole=ends or tail.startswith(_SESSION))


def _fill(line: ErrorLine, client: re.Match[str], context: _Context) -> None:
    line.message = line.message[: client.start()] + context.left
    line.client_addr = ADDRESSES[client[1]] or client[1]
    for name, value in context.values.items():
        if _FIELDS[name]:
            setattr(line, _FIELDS[name], value)
    line.cut_fields = _FIELDS.get(context.cut, "")


FORMAT = Format("error", "nginx's error log", parser)
