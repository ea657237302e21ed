r"""``combined``: the access log format of nginx and Apache, with its variants in real logs.

``ADDR IDENT USER [TIME] "REQUEST" STATUS BYTES "REFERER" "USER AGENT"``, also without the last two (common), with a
virtual host before it, with ``"X-FORWARDED-FOR"`` before or after it, with a list of addresses that ends with ADDR in
its place, and each of these as a quoted whole line of a dump. Fields that a custom format appends (``rt=0.010``) are
not read. Inside quotes Apache writes ``\"`` and nginx ``\x22``; such escapes stay as logged.

A line that was cut after its numbers is read up to the cut. Of two addresses at the beginning, the first is the
virtual host, which may be any text of a Host header; in any case the peer is the second one.

ADDR must be an address or a host name (:mod:`obsctl.lines.formats.peer`). Fields that a client chooses (user, request,
referer, agent) may be any text that does not break the quoting, and the line is still read: a client must not be able
to keep its requests from being counted.
"""

from __future__ import annotations

import itertools
import re
from typing import NamedTuple

from obsctl.lines.formats import clock
from obsctl.lines.formats.format import Format
from obsctl.lines.formats.line import SHORT, SURELY_TEXT, UNSEEN, AccessLine, LineError, fit
from obsctl.lines.formats.peer import PEERS, SOCKET, address, is_ipv4

#: Methods by the word in the line, which includes one of the request's quotes.
_METHODS = {f'"{name}': name for name in ("GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH")}
_PROTOCOLS = {f'{name}"': name for name in ("HTTP/1.1", "HTTP/2.0", "HTTP/1.0", "HTTP/3.0")}
#: Length of ``+0100]``.
_ZONE_LENGTH = 6
#: A number with this many digits fits its column.
_SIZE_DIGITS = 18
_STATUSES = {f"{number:03d}": number for number in range(1000)}

# For an HTTP request, no escape, no blank in the user, no quote among appended fields.
_usual = re.compile(
    r'([^\s,]+) - (\S+) \[([^\]]{26})\] "([A-Z]{1,32}) ([^ "\\]+) (HTTP/[0-9.]{1,4})" (\d{3}) (\d{1,18}) '
    r'"([^"\\]*)" "([^"\\]*)"(?: "([^"\\]*)")?(?: [^"\\\[ ][^"\\\[]*)?',
    re.ASCII,
).fullmatch

# Unrolled, so that a hostile line takes one pass: backtracking into a group never helps what follows it to match. Only
# character classes are possessive: before Python 3.11.5 a possessive group may match wrongly
# (https://github.com/python/cpython/issues/106052), and Debian 12 has 3.11.2.
_ESCAPED = r'[^"\\]*+(?:\\.[^"\\]*+)*'
_QUOTED = rf'"{_ESCAPED}"'
_FIELD = rf'"({_ESCAPED})"'
_TIME = r"[^\[\]]{1,64}"
#: Appended fields, if any: after a blank, and with all quotes closed, which may not be so in a line that was cut.
_MORE = rf'(?: [^"]*+(?:{_QUOTED}[^"]*+)*)?'
#: A user may contain brackets, but no quote, because servers escape it.
_HEAD = (
    rf'(?P<who>[^\[]*+(?:\[(?!{_TIME}\] ")[^\[]*+)*)\[(?P<time>{_TIME})\] '
    rf"{_FIELD} (?P<status>\d{{1,3}}) (?P<bytes>\d{{1,18}}|-)"
)
_unusual = re.compile(
    rf'{_HEAD}(?: {_FIELD} {_FIELD}(?: {_FIELD})?(?P<more>{_MORE})|(?P<more_of_common>(?! "){_MORE}))',
    re.DOTALL | re.ASCII,
).fullmatch
#: A text without its end, perhaps cut within an escape.
_OPEN = rf'"({_ESCAPED})\\?'
#: A line that was cut within the referer, after it, within the agent, or within a quote of the appended fields. Not
#: within the third quoted text: the lost end of X-Forwarded-For is what trusted proxies have added.
_unfinished = re.compile(
    rf"{_HEAD} (?:{_OPEN}|{_FIELD}(?: {_OPEN})?"
    rf'|{_FIELD} {_FIELD}(?: {_FIELD}(?= )| (?!"))(?P<more>[^"]*+(?:{_QUOTED}[^"]*+)*{_OPEN}))',
    re.DOTALL | re.ASCII,
).fullmatch
_quotes = re.compile(_QUOTED, re.DOTALL)
#: Another line's time and request: the line feed between the two lines was lost. Within a quote that the first line
#: left open, the other line's status is required as well, since a client may choose a quoted text that ends with a
#: time.
_LINE_TIME = r"\[\d\d/\w{3}/\d{4}:[^\[\]]{1,40}\]"
_second_time = re.compile(rf'{_LINE_TIME} "', re.ASCII).search
_second_request = re.compile(rf"{_LINE_TIME} {_QUOTED} \d{{3}} ", re.DOTALL | re.ASCII).search
# A virtual host may precede the list; the single peer and the dash after the list show that there is one.
_quoted = re.compile(r'(?:([^\s",]++) (?="[^"]*+" [^\s,]++ - [^ ]*+ ))?"([^"]*+)" ').match
#: The separator of addresses and names; a blank after a comma is inside a list.
_apart = re.compile(r"(?<!,) ").split
_port = re.compile(r".+:\d{1,5}", re.ASCII).fullmatch
#: A name (also ``_`` and ``*.example.com``) or an address in brackets, both optionally with a port.
_vhost = re.compile(r'(?:\[[0-9A-Fa-f:.]+\]|(?=[^:]*[^\W\d])[^\s:,"|<>@=/()\[\]]+)(?::\d{1,5})?').fullmatch
_method = re.compile(r"[A-Za-z_-]+", re.ASCII).fullmatch
#: Protocols: HTTP, and RTSP and SIP, which scanners send.
_protocol = re.compile(r"[A-Z][A-Z0-9]{1,9}/[0-9.]{1,4}", re.ASCII).fullmatch
_UNLIKE = "not a combined or common access line"


class _Texts(NamedTuple):
    """The quoted texts; None for a missing one.

    Attributes:
        more: the appended fields, with a leading blank.
    """

    request: str
    referer: str | None
    agent: str | None
    forwarded: str | None
    more: str | None


def parse(text: str) -> AccessLine:
    """Parse a line.

    Most lines are read by splitting them at blanks, which takes less time than the patterns. Unusual lines are left to
    the patterns, which also read the usual ones with the same result, as a test verifies.

    Raises:
        LineError: it is not a combined or common line, its time or peer is invalid, or a number is out of range.
    """
    try:
        addr, ident, user, day, zone, method, uri, protocol, status, size, rest = text.split(" ", 10)
        before, referer, between, agent, after = rest.split('"')
        method = _METHODS[method]
        protocol = _PROTOCOLS[protocol]
        code = _STATUSES[status]
        ts = clock.BRACKETED[day + zone]
        peer = addr
        try:
            is_ipv4(addr)
        except (OSError, ValueError):
            peer = PEERS[addr]
    except (ValueError, KeyError):  # including an invalid time or peer
        return parse_by_pattern(text)
    if (
        ident != "-"
        or between != " "
        or before
        or after
        or len(zone) != _ZONE_LENGTH
        or "\\" in text
        or '"' in uri
        or not (uri and user)
        # Of the pattern's white space characters, only the blank is printable.
        or not user.isprintable()
        or not (size.isdigit() and len(size) <= _SIZE_DIGITS)
        or not text.isascii()
        or len(text) > SURELY_TEXT
        or len(user) > SHORT
    ):
        return parse_by_pattern(text)
    return AccessLine(
        ts,
        peer,
        code,
        int(size),
        "" if user == "-" else user,
        method,
        uri,
        protocol,
        "" if referer == "-" else referer,
        "" if agent == "-" else agent,
    )


def parse_by_pattern(text: str) -> AccessLine:
    """Parse any line by the patterns; as :func:`parse`."""
    return _parse_usual(text) or _parse_unusual(text)


def _parse_usual(text: str) -> AccessLine | None:
    match = _usual(text)
    if match is None:
        return None
    addr, user, time, method, uri, protocol, status, size, referer, agent, forwarded = match.groups()
    try:
        peer = PEERS[addr]
    except LineError:
        return None
    access = AccessLine(
        ts=clock.LOCAL[time],
        client_addr=peer,
        status=int(status),
        bytes=int(size),
        remote_user=_absent(user),
        method=method,
        uri=uri,
        protocol=protocol,
        referer=_absent(referer),
        user_agent=_absent(agent),
        x_forwarded_for=_absent(forwarded) if forwarded else "",
    )
    if len(text) > SURELY_TEXT or len(user) > SHORT:
        fit(access)
    return access


def _parse_unusual(text: str) -> AccessLine:
    stripped = text.lstrip(UNSEEN).strip()
    match = _unusual(stripped)
    if match is None and stripped[:1] == '"' == stripped[-1:]:
        match = _unusual(stripped[1:-1])
    if match is not None:
        request, _, _, referer, agent, forwarded, more, more_of_common = match.groups()[2:]
        return _access(match, _Texts(request, referer, agent, forwarded, more or more_of_common))
    match = _unfinished(stripped)
    if match is None:
        raise LineError("parse", _UNLIKE)
    request, _, _, cut_referer, lone_referer, cut_agent, referer, agent, forwarded, more, _ = match.groups()[2:]
    texts = _Texts(request, cut_referer or lone_referer or referer, cut_agent or agent, forwarded, more)
    access = _access(match, texts)
    if more is None:
        lost = "referer" if lone_referer is None else "user_agent"
        access.cut_fields = ",".join(dict.fromkeys((*filter(None, access.cut_fields.split(",")), lost)))
    return access


def _access(match: re.Match[str], texts: _Texts) -> AccessLine:
    if texts.more and (_second_time(_quotes.sub('""', texts.more)) or _second_request(texts.more)):
        raise LineError("parse", "two access lines without a line feed between them")
    vhost, proxies, addr, user = _split_who(match["who"])
    method, uri, protocol = _split_request(texts.request)
    access = AccessLine(
        ts=clock.LOCAL[match["time"]],
        client_addr=addr,
        status=int(match["status"]),
        bytes=0 if match["bytes"] == "-" else int(match["bytes"]),
        remote_user=_absent(user),
        method=method,
        uri=uri,
        protocol=protocol,
        referer=_absent(texts.referer or ""),
        user_agent=_absent(texts.agent or ""),
        x_forwarded_for=_absent(texts.forwarded or "") or proxies,
        vhost=vhost,
    )
    fit(access)
    return access


def _split_who(who: str) -> tuple[str, str, str, str]:
    """Return virtual host, X-Forwarded-For, peer and user.

    ``[VHOST ]["X-FORWARDED-FOR" ][VHOST ][ADDR, ADDR ]ADDR IDENT USER ``, where the user may contain blanks or be
    empty, or ``ADDR, ADDR, ADDR IDENT USER ``, of which the last address is the peer.
    """
    vhost, forwarded = "", ""
    quoted = _quoted(who)
    if quoted is not None:
        vhost, who = quoted[1] or "", who[quoted.end() :]
        if who.startswith("- "):
            who = f"{quoted[2]} {who}"  # the peer itself is quoted
        else:
            forwarded = _absent(quoted[2])
    words = who.split(" ")[:-1]
    host, addresses = _take_prefix(words)
    vhost, forwarded = vhost or host, forwarded or addresses
    count = next((i for i, word in enumerate(words, 1) if not word.endswith(",")), 0)
    *before, peer = "".join(words[:count]).split(",")
    if before:
        if not vhost and not address(peer):
            raise LineError("parse", _UNLIKE)
        forwarded = ", ".join(before)
        words[:count] = [peer]
    if not vhost and len(words) > 3 and (address(words[1]) or (_port(words[0]) and not address(words[0]))):
        vhost = words.pop(0)
    if len(words) < 3 or not words[0]:
        raise LineError("parse", _UNLIKE)
    return _judge_who(vhost, words[0], words[1], words[2:], forwarded)


def _judge_who(vhost: str, peer: str, ident: str, user: list[str], forwarded: str) -> tuple[str, str, str, str]:
    """Return the same as :func:`_split_who` if it is plausible.

    An address followed by a dash is the peer: anything after it may be a user. A name, or an IDENT that is not a dash,
    may belong to a prefix; the line's own peer and dash are then within what looks like the user.
    """
    found = PEERS[peer]
    certain = bool(address(peer)) or peer.startswith(SOCKET)
    if ident == "-":
        prefixed = not certain and any(address(word) and after == "-" for word, after in itertools.pairwise(user))
    else:
        prefixed = len(user) > 1 and any(word == "-" or address(word) for word in user)
    if prefixed:
        raise LineError("client", f"{peer[:40]!r} starts a prefix that this format does not know")
    if vhost and not _vhost(vhost) and not address(vhost):
        if not certain:
            raise LineError("client", f"{vhost[:40]!r} starts a prefix that this format does not know")
        vhost = ""
    # Several words that begin with a dash are an absent user and an unexpected field.
    return vhost, forwarded, found, "" if user[0] == "-" else " ".join(user)


def _take_prefix(words: list[str]) -> tuple[str, str]:
    """Remove virtual host and X-Forwarded-For from the words; the IDENT, if it is the usual dash, marks the peer."""
    ident = next((i for i, word in enumerate(words[1:-1], 1) if word == "-"), 0)
    if not ident:
        return "", ""
    pieces = _apart(" ".join(words[:ident]))
    if len(pieces) == 2 and "." in pieces[1] and address(pieces[0]) and not address(pieces[1].rpartition(",")[2]):
        pieces.reverse()  # a custom format with the virtual host after the address
    vhost = pieces.pop(0) if len(pieces) > 1 and "," not in pieces[0] else ""
    forwarded = pieces.pop(0) if len(pieces) > 1 and "," in pieces[0] and "," not in pieces[1] else ""
    if len(pieces) != 1 or pieces[0][-1:] in ("", " ", ","):
        return "", ""
    words[:ident] = pieces[0].split(" ")
    return vhost, forwarded


def _split_request(request: str) -> tuple[str, str, str]:
    """Return method, target and protocol; a text that is not a request (empty, a TLS handshake) is all target."""
    method, blank, rest = request.partition(" ")
    if not blank or not _method(method):
        return "", _absent(request), ""
    target, blank, protocol = rest.rpartition(" ")
    if blank and _protocol(protocol):
        return method, target.rstrip(" "), protocol
    return (method, rest, "") if method.isupper() else ("", _absent(request), "")


def _absent(text: str) -> str:
    return "" if text == "-" else text


FORMAT = Format("combined", "the access log of nginx and Apache, combined or common", lambda _: parse)
