"""``json``: nginx's access log, a JSON object per line (``escape=json``); fields: docs/reference/log-format.md."""

from __future__ import annotations

import re
from typing import Annotated

import msgspec
from msgspec import Meta

from obsctl.lines.formats import clock
from obsctl.lines.formats.format import Format
from obsctl.lines.formats.line import (
    ABSENT,
    NUMBER_MAX,
    PROBE,
    SECONDS_MAX,
    STATUS_MAX,
    UNSEEN,
    AccessLine,
    Cipher,
    LineError,
    LongList,
    MarkedLine,
    Method,
    Parsed,
    Protocol,
    RequestId,
    Short,
    ShortList,
    Text,
    fit,
)
from obsctl.lines.formats.peer import PEERS, is_ipv4

_Number = Annotated[int, Meta(ge=0, le=NUMBER_MAX)]


class _Usual(msgspec.Struct, gc=False, kw_only=True):
    """A line whose numbers are numbers and whose texts certainly fit their columns, as nearly all of nginx's lines.

    Fields in nginx's order, because the decoder expects the next field first.
    """

    time: str = ""
    msec: float | None = None
    remote_addr: Short
    x_forwarded_for: Text = ""
    remote_user: Short = ""
    request_id: RequestId = ""
    client_request_id: Short = ""
    host: Short = ""
    method: Method = ""
    uri: Text = ""
    protocol: Protocol = ""
    status: Annotated[int, Meta(ge=0, le=STATUS_MAX)]
    bytes: _Number = 0
    request_length: _Number | None = None
    request_time: Annotated[float, Meta(ge=0, le=SECONDS_MAX)] | None = None
    referer: Text = ""
    user_agent: Text = ""
    upstream_addr: LongList = ""
    upstream_status: ShortList = ""
    upstream_response_time: ShortList = ""
    upstream_connect_time: ShortList = ""
    scheme: Protocol = ""
    ssl_protocol: Protocol = ""
    ssl_cipher: Cipher = ""
    #: Of any type: it is a mark only if :data:`_mark` finds it.
    obscraft_test: object = None


class _Unusual(msgspec.Struct, gc=False):
    """A line whose numbers may be texts, and whose values may be missing or long."""

    time: str | None = None
    msec: float | str | None = None
    remote_addr: str | None = None
    x_forwarded_for: str | None = None
    remote_user: str | None = None
    request_id: str | None = None
    client_request_id: str | None = None
    host: str | None = None
    method: str | None = None
    uri: str | None = None
    protocol: str | None = None
    status: int | str | None = None
    bytes: int | str | None = None
    request_length: int | str | None = None
    request_time: float | str | None = None
    referer: str | None = None
    user_agent: str | None = None
    upstream_addr: str | None = None
    upstream_status: str | None = None
    upstream_response_time: str | None = None
    upstream_connect_time: str | None = None
    scheme: str | None = None
    ssl_protocol: str | None = None
    ssl_cipher: str | None = None


#: The fields that are read, in nginx's order.
MEMBERS = _Usual.__struct_fields__
#: The fields of a request.
_FIELDS = tuple(name for name in MEMBERS if name != "obscraft_test")
#: The same fields, of any type.
_Raw = msgspec.defstruct("_Raw", [(name, msgspec.Raw, msgspec.Raw(b"null")) for name in _FIELDS], gc=False)
#: The columns that the object's fields fill, except the time.
_COLUMNS = {name: {"remote_addr": "client_addr", "host": "vhost"}.get(name, name) for name in _FIELDS[2:]}
_STRING = r'"[^"\\]*+(?:\\.[^"\\]*+)*'
#: A field with the comma after it, and the beginning of a field.
_whole_pair = re.compile(rf'\s*"[^"\\]*":\s*(?:{_STRING}"|[-+.0-9a-zA-Z]+)\s*,', re.DOTALL).match
_cut_pair = re.compile(rf'\s*(?:"([^"\\]*)(?:"\s*:?\s*(?:{_STRING}\\?"?|[-+.0-9a-zA-Z]*))?)?', re.DOTALL).fullmatch
#: Only ASCII digits: int() and float() also accept those of other scripts, underscores, and words like "nan".
_whole = re.compile(r"(-?[0-9]{1,30})(?:\.0*)?").fullmatch
_decimal = re.compile(r"-?(?:[0-9]{1,30}\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?").fullmatch
#: nginx's default escape, which is not JSON: bytes in hexadecimal. An escaped backslash does not begin one.
_default_escapes = re.compile(r"\\\\|(?:\\x[0-9A-Fa-f]{2})+")

#: How the line of a signed request (a rule test or a probe) begins: our nginx writes this for these only. A mark of
#: another form is ignored, like any unknown field.
_mark = re.compile(rf'\{{"obscraft_test":"((?:{PROBE})?[a-z0-9]{{8,32}})",').match

_decode_usual = msgspec.json.Decoder(_Usual).decode
_decode_unusual = msgspec.json.Decoder(_Unusual).decode
_decode_raw = msgspec.json.Decoder(_Raw).decode


def parse(text: str) -> Parsed:
    """Parse a line. Seconds are rounded to the milliseconds that their column holds.

    Raises:
        LineError: it is not such an object, has no valid time or peer, or a number is out of range.
    """
    try:
        usual = _decode_usual(text)
    except (ValueError, RecursionError):
        return _parse_unusual(text)
    if usual.obscraft_test is not None and (mark := _mark(text)):
        return MarkedLine(mark[1], _read(_without(mark)))
    # $msec first: it is the same time as $time_iso8601, with milliseconds.
    msec = usual.msec
    ts = clock.from_epoch(msec) if msec is not None else clock.ISO[usual.time]
    length, seconds = usual.request_length, usual.request_time
    peer = usual.remote_addr
    try:
        is_ipv4(peer)
    except (OSError, ValueError):
        peer = PEERS[peer]
    return AccessLine(  # one by one: a call with * takes twice as long
        ts,
        peer,
        usual.status,
        usual.bytes,
        usual.remote_user,
        usual.method,
        usual.uri,
        usual.protocol,
        usual.referer,
        usual.user_agent,
        usual.x_forwarded_for,
        usual.host,
        usual.request_id,
        usual.client_request_id,
        length if length is not None else ABSENT,
        round(seconds * 1000) / 1000 if seconds is not None else ABSENT,
        usual.upstream_addr,
        usual.upstream_status,
        usual.upstream_response_time,
        usual.upstream_connect_time,
        usual.scheme,
        usual.ssl_protocol,
        usual.ssl_cipher,
    )


def _without(mark: re.Match[str]) -> str:
    """Return the line without its mark."""
    return "{" + mark.string[mark.end() :]


def _parse_unusual(text: str) -> Parsed:
    """Parse a line of a custom format: numbers as texts, texts as numbers, null, "-", or other escapes than JSON's.

    Everything that a client can send must be read here as well: a quote in its User-Agent makes a line invalid JSON if
    the log_format has no ``escape=json``.
    """
    if mark := _mark(text):
        return MarkedLine(mark[1], _read_unusual(_without(mark)))
    return _read_unusual(text)


def _read_unusual(text: str) -> AccessLine:
    try:
        return _read(text)
    except LineError as error:
        refusal = error
    plain = _default_escapes.sub(_json_escape, text.lstrip(UNSEEN))
    if plain != text:
        try:
            return _read(plain)
        except LineError as error:
            refusal = error
    return _read_cut(plain, refusal)


def _read_cut(text: str, error: LineError) -> AccessLine:
    """Parse the complete fields of a line that was cut; raise the error if it is not such a line.

    A shipper cuts lines at its own limit, and clients can make lines long by control characters in headers, which take
    six bytes each in JSON.
    """
    at = 1
    while match := _whole_pair(text, at):
        at = match.end()
    cut = _cut_pair(text, at)
    if at == 1 or cut is None:
        raise error
    try:
        access = _read(text[: at - 1] + "}")
    except LineError:
        raise error from None
    name = _COLUMNS.get(cut[1] or "", "")
    if name and name not in access.cut_fields.split(","):
        access.cut_fields = f"{access.cut_fields},{name}".lstrip(",")
    return access


def _json_escape(match: re.Match[str]) -> str:
    """Return what JSON writes for bytes that nginx's default escape has written as ``\\xHH``."""
    if not match[0].startswith("\\x"):
        return match[0]
    characters = bytes.fromhex(match[0].replace("\\x", "")).decode(errors="replace")
    return msgspec.json.encode(characters)[1:-1].decode()


def _read(text: str) -> AccessLine:
    try:
        line = _decode_unusual(text)
    except (ValueError, RecursionError):
        line = _decode_unusual(_as_texts(text))
    status, size = _count(line.status, "status"), _count(line.bytes, "bytes")
    length, seconds = _count(line.request_length, "request_length"), _seconds(line.request_time, "request_time")
    if status is None or line.remote_addr is None:
        raise LineError(
            "parse", f"not an access line in JSON: {'status' if status is None else 'remote_addr'} is missing"
        )
    msec = _seconds(line.msec, "msec")
    access = AccessLine(
        ts=clock.ISO[line.time or ""] if msec is None else clock.from_epoch(msec),
        client_addr=PEERS[line.remote_addr],
        status=status,
        bytes=size or 0,
        remote_user=line.remote_user or "",
        method=line.method or "",
        uri=line.uri or "",
        protocol=line.protocol or "",
        referer=line.referer or "",
        user_agent=line.user_agent or "",
        x_forwarded_for=line.x_forwarded_for or "",
        vhost=line.host or "",
        request_id=line.request_id or "",
        client_request_id=line.client_request_id or "",
        # Clocks that are set back make durations negative, which are meaningless.
        request_length=ABSENT if length is None or length < 0 else length,
        request_time=ABSENT if seconds is None or seconds < 0 else seconds,
        upstream_addr=line.upstream_addr or "",
        upstream_status=line.upstream_status or "",
        upstream_response_time=line.upstream_response_time or "",
        upstream_connect_time=line.upstream_connect_time or "",
        scheme=line.scheme or "",
        ssl_protocol=line.ssl_protocol or "",
        ssl_cipher=line.ssl_cipher or "",
    )
    fit(access)
    if type(access.request_time) is float:
        access.request_time = round(access.request_time * 1000) / 1000
    return access


def _as_texts(text: str) -> bytes:
    """Return the object with each number replaced by a text of the same digits.

    Raises:
        LineError: it is not an object, or a field is neither a text nor a number.
    """
    try:
        line = _decode_raw(text)
    except (ValueError, RecursionError) as error:  # RecursionError for brackets nested a thousand deep
        unescaped = "\\x" in text or "malformed: expected" in str(error)
        hint = " (does its log_format say escape=json?)" if unescaped else ""
        raise LineError("parse", f"not an access line in JSON: {error}{hint}") from None
    pairs = []
    for name in _Raw.__struct_fields__:
        value = bytes(getattr(line, name))
        if value[:1] in b"-0123456789":
            value = b'"%b"' % value
        elif value[:1] != b'"' and value != b"null":
            raise LineError("parse", f"not an access line in JSON: {name} is neither a text nor a number")
        pairs.append(b'"%b":%b' % (name.encode(), value))
    return b"{%b}" % b",".join(pairs)


def _count(value: int | str | None, name: str) -> int | None:
    if value is None or type(value) is int:
        return value
    if value in ("", "-"):
        return None
    match = _whole(str(value))
    if match is None:
        raise LineError("parse", f"{name} is not a whole number: {str(value)[:40]!r}")
    return int(match[1])


def _seconds(value: float | str | None, name: str) -> float | None:
    if value is None or type(value) is float:
        return value
    if value in ("", "-"):
        return None
    if not _decimal(str(value)):
        raise LineError("parse", f"{name} is not a number: {str(value)[:40]!r}")
    return float(value)


FORMAT = Format("json", "nginx's access log as one JSON object a line (`escape=json`)", lambda _: parse)
