r"""``combined``: the access log format of nginx and Apache, with what real logs make of it.

``ADDR IDENT USER [TIME] "REQUEST" STATUS BYTES "REFERER" "USER AGENT"``, also without the last two (common), with a
virtual host before it, with ``"X-FORWARDED-FOR"`` before or after it, with a list of addresses that ends with ADDR in
its place, and each of these as a quoted whole line of a dump. Inside quotes Apache writes ``\"`` and nginx ``\x22``;
such escapes stay as logged.
"""

from __future__ import annotations

import ipaddress
import re

from obsctl.lines.formats import clock
from obsctl.lines.formats.line import SHORT_LINE, TEXT_BYTES, AccessLine, LineError, require_fit

#: By the word of the line, which holds one of the request's quotes.
_METHODS = {f'"{name}': name for name in ("GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH")}
_PROTOCOLS = {f'{name}"': name for name in ("HTTP/1.1", "HTTP/2.0", "HTTP/1.0", "HTTP/3.0")}
#: Of ``+0100]``.
_ZONE_LENGTH = 6
#: A number of so many digits fits its column.
_SIZE_DIGITS = 18
#: Characters of a line of which no text can have more bytes than a TEXT column takes.
_FITTING_LINE = TEXT_BYTES // 4
_STATUSES = {f"{number:03d}": number for number in range(1000)}

# An HTTP request, no escape, no blank in the user.
_usual = re.compile(
    r'([^\s,]+) \S+ (\S+) \[([^\]]{26})\] "([A-Z]{1,32}) ([^ "\\]+) (HTTP/[0-9.]{1,4})" (\d{3}) (\d{1,18}) '
    r'"([^"\\]*)" "([^"\\]*)"',
    re.ASCII,
).fullmatch

# A quoted field. Possessive, so that a hostile line costs one pass and no backtracking.
_FIELD = r'"((?:[^"\\]|\\.)*+)"'
_unusual = re.compile(
    rf"(?P<who>[^\[]*+)\[(?P<time>[^\]]{{1,64}})\] "
    rf"{_FIELD} (?P<status>\d{{1,3}}) (?P<bytes>\d{{1,18}}|-)"
    rf"(?: {_FIELD} {_FIELD}(?: {_FIELD})?)?\s*",
    re.DOTALL | re.ASCII,
).fullmatch
# A virtual host may stand before the list; that it is one, the single peer and the dash behind the list say.
_quoted = re.compile(r'(?:([^\s",]++) (?="[^"]*+" [^\s,]++ - [^ ]*+ ))?"([^"]*+)" ').match
#: Between addresses and names; a blank behind a comma is within a list.
_apart = re.compile(r"(?<!,) ").split
_port = re.compile(r".+:\d{1,5}", re.ASCII).fullmatch
_method = re.compile(r"[A-Za-z_-]{1,32}", re.ASCII).fullmatch
_protocol = re.compile(r"HTTP/[0-9.]{1,4}", re.ASCII).fullmatch


def parse(text: str) -> AccessLine:
    """Parse a line.

    Most lines are read by cutting them at blanks, which takes less time than the pattern does. Whatever is unlike most
    is left to the patterns; they read also those lines, and with the same result, which a test holds.

    Raises:
        LineError: it is no combined or common line, its time is none, or a field is out of its bounds.
    """
    try:
        addr, ident, user, day, zone, method, uri, protocol, status, size, rest = text.split(" ", 10)
        before, referer, between, agent, after = rest.split('"')
        method = _METHODS[method]
        protocol = _PROTOCOLS[protocol]
        code = _STATUSES[status]
        ts = clock.BRACKETED[day + zone]
    except (ValueError, KeyError):  # also a time that is none
        return parse_by_pattern(text)
    if (
        ident != "-"
        or between != " "
        or before
        or after
        or len(zone) != _ZONE_LENGTH
        or "\\" in text
        or '"' in uri
        or not (uri and addr and user)
        or "," in addr
        # Of what counts as white space for the pattern, only the blank is printable.
        or not addr.isprintable()
        or not user.isprintable()
        or not (size.isdigit() and len(size) <= _SIZE_DIGITS)
        or not text.isascii()
        or len(text) > _FITTING_LINE
        or len(addr) + len(user) > SHORT_LINE
    ):
        return parse_by_pattern(text)
    return AccessLine(
        ts,
        addr,
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
    """Parse a line, whatever it is like; as :func:`parse`."""
    access = _parse_usual(text) or _parse_unusual(text)
    require_fit(access, len(text))
    return access


def _parse_usual(text: str) -> AccessLine | None:
    match = _usual(text)
    if match is None:
        return None
    addr, user, time, method, uri, protocol, status, size, referer, agent = match.groups()
    return AccessLine(
        ts=clock.LOCAL[time] + ".000",
        client_addr=addr,
        status=int(status),
        bytes=int(size),
        remote_user=_absent(user),
        method=method,
        uri=uri,
        protocol=protocol,
        referer=_absent(referer),
        user_agent=_absent(agent),
    )


def _parse_unusual(text: str) -> AccessLine:
    stripped = text.strip()
    match = _unusual(stripped)
    if match is None and stripped[:1] == '"' == stripped[-1:]:
        match = _unusual(stripped[1:-1])
    if match is None:
        raise LineError("parse", "not a combined or common access line")
    request, _, _, referer, agent, forwarded = match.groups()[2:]
    vhost, proxies, addr, user = _split_who(match["who"])
    method, uri, protocol = _split_request(request)
    return AccessLine(
        ts=clock.LOCAL[match["time"]] + ".000",
        client_addr=addr,
        status=int(match["status"]),
        bytes=0 if match["bytes"] == "-" else int(match["bytes"]),
        remote_user=_absent(user),
        method=method,
        uri=uri,
        protocol=protocol,
        referer=_absent(referer or ""),
        user_agent=_absent(agent or ""),
        x_forwarded_for=_absent(forwarded or "") or proxies,
        vhost=vhost,
    )


def _split_who(who: str) -> tuple[str, str, str, str]:
    """Return virtual host, X-Forwarded-For, address and user.

    ``[VHOST ]["X-FORWARDED-FOR" ][VHOST ][ADDR, ADDR ]ADDR IDENT USER ``, where the user may hold blanks or nothing, or
    ``ADDR, ADDR, ADDR IDENT USER ``, of which the last address is the peer.
    """
    vhost, forwarded = "", ""
    quoted = _quoted(who)
    if quoted is not None:
        vhost, forwarded = quoted[1] or "", _absent(quoted[2])
        who = who[quoted.end() :]
    words = who.split(" ")[:-1]
    host, addresses = _take_prefix(words)
    vhost, forwarded = vhost or host, forwarded or addresses
    count = next((i for i, word in enumerate(words, 1) if not word.endswith(",")), 0)
    *before, peer = "".join(words[:count]).split(",")
    if before:
        if not vhost and not _is_address(peer):
            raise LineError("parse", "not a combined or common access line")
        forwarded = ", ".join(before)
        words[:count] = [peer]
    if not vhost and len(words) > 3 and (_is_address(words[1]) or (_port(words[0]) and not _is_address(words[0]))):
        vhost = words.pop(0)
    if len(words) < 3 or not words[0]:
        raise LineError("parse", "not a combined or common access line")
    return vhost, forwarded, words[0], " ".join(words[2:])


def _take_prefix(words: list[str]) -> tuple[str, str]:
    """Take virtual host and X-Forwarded-For out of the words; where the IDENT is the usual dash, it tells the peer."""
    ident = next((i for i, word in enumerate(words[1:-1], 1) if word == "-"), 0)
    if not ident:
        return "", ""
    pieces = _apart(" ".join(words[:ident]))
    vhost = pieces.pop(0) if len(pieces) > 1 and "," not in pieces[0] else ""
    forwarded = pieces.pop(0) if len(pieces) > 1 and "," in pieces[0] and "," not in pieces[1] else ""
    if len(pieces) != 1 or pieces[0][-1:] in ("", " ", ","):
        return "", ""
    words[:ident] = pieces[0].split(" ")
    return vhost, forwarded


def _is_address(word: str) -> bool:
    try:
        ipaddress.ip_address(word)
    except ValueError:
        return False
    return True


def _split_request(request: str) -> tuple[str, str, str]:
    """Return method, target and protocol; a request that is none (empty, a TLS greeting) is all target."""
    method, blank, rest = request.partition(" ")
    if not blank or not _method(method):
        return "", _absent(request), ""
    target, blank, protocol = rest.rpartition(" ")
    if blank and _protocol(protocol):
        return method, target.rstrip(" "), protocol
    return (method, rest, "") if method.isupper() else ("", _absent(request), "")


def _absent(text: str) -> str:
    return "" if text == "-" else text
