"""``error``: nginx's error log.

``2026/01/02 03:04:05 [error] PID#TID: *CONNECTION MESSAGE, client: …, server: …, request: "…", upstream: "…",
host: "…", referrer: "…"``; what follows the message is there only for errors of a request or a session. The stream
module also writes ``, udp client: …`` and ends with the bytes of the session; the mail module names the login. nginx
cuts a line at 2,048 bytes, wherever that is.
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
    "request_id": "",  # OpenResty's
}
#: Keys without a field, whose values stay in the message.
_IN_MESSAGE = frozenset(("login", "request_id"))
_STARTTLS = " using starttls"
#: What the stream module ends with: how many bytes a session has moved.
_SESSION = ", bytes from/to client:"
#: Places read as a context, at most: a hostile line may hold thousands that begin like one.
_CLIENT_TRIES = 8
#: Bytes up to which nginx has certainly not cut a message: it cuts the line, whose head it belongs to, at 2,048.
_SURELY_WHOLE = 1900
#: How the messages begin that repeat a text of an application, or of the client but not from the request's line, and
#: how nginx goes on behind that text. A module that puts its text into no quotes may end in any way.
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
#: Characters up to which such an ending is looked for.
_ENDING_LENGTH = 400
#: What stands behind a quote that closes, and in front of one that opens.
_BEHIND_CLOSING, _BEFORE_OPENING = " :,.;)]", " ([="


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
    """Move the context of a request or session from the message into fields; nothing where it is not certain."""
    found = _find_context(line.message)
    if found is not None:
        _fill(line, *found)


def _find_context(text: str) -> tuple[re.Match[str], _Context] | None:
    """Return the context that nginx has written, and where it begins; None if there is none or two may be it.

    nginx escapes nothing here, so ``, client: `` may also stand in what a client chose, behind nginx's own (request,
    host, referrer), and in a text that the message repeats, before it. It is the first place that reads as a context,
    unless the message may hold that one:

    * Messages that repeat an application's text go on in nginx's own words behind it, and these must precede the
      context.
    * Other messages name a file, whose path is the decoded target of the request. A context in it stands in the
      request as well, behind nginx's own.

    A text may imitate that as well, so that two contexts are possible. Then none is taken: an error without a client is
    better than an error of a client that somebody chose.
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
    """Return whether the last quote before ``end`` opens a text: what follows it is no word of nginx's."""
    at = text.rfind('"', 0, end)
    behind = text[at + 1 : min(at + 2, end)]
    return at >= 0 and bool(behind) and behind not in _BEHIND_CLOSING and text[at - 1 : at] in _BEFORE_OPENING


def _may_be_of_a_path(text: str, client: re.Match[str]) -> bool:
    """Return whether what reads as the client may be part of a quoted path: then the target behind it holds it too."""
    begins = text[client.start() : client.end(1)].partition("/")[0]  # nginx merges slashes in paths
    return '"' in text[: client.start()] and begins in urllib.parse.unquote(text[client.end(1) :])


def _read_context(text: str, client: re.Match[str]) -> _Context | None:
    """Read the pairs behind the client; None where nginx has not written them.

    It writes addresses and sockets as clients, and neither a quote nor a blank in a value that is not quoted.
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
    # An address at the very end may have lost digits.
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
