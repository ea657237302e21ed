"""``json``: nginx's access log as one JSON object a line (``escape=json``), fields as docs/reference/log-format.md."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from obsctl.lines.formats import clock
from obsctl.lines.formats.line import (
    ABSENT,
    METHOD,
    NUMBER_MAX,
    PROTOCOL,
    REQUEST_ID,
    SECONDS_MAX,
    SHORT_LINE,
    STATUS_MAX,
    TEXT_BYTES,
    AccessLine,
    LineError,
    require_fit,
)

#: What surely fits its column, told while it is read; :func:`require_fit` judges the rest.
_Short = Annotated[str, Meta(max_length=SHORT_LINE)]
_Text = Annotated[str, Meta(max_length=TEXT_BYTES // 4)]
_Number = Annotated[int, Meta(ge=0, le=NUMBER_MAX)]


class _Usual(msgspec.Struct, gc=False, kw_only=True):
    """A line whose numbers are numbers and whose fields fit, as nginx writes nearly all.

    In nginx's order: the decoder looks first for the field that follows on the last one.
    """

    time: str = ""
    msec: float | None = None
    remote_addr: _Short
    x_forwarded_for: _Text = ""
    remote_user: _Short = ""
    request_id: Annotated[str, Meta(max_length=REQUEST_ID)] = ""
    client_request_id: _Short = ""
    host: _Short = ""
    method: Annotated[str, Meta(max_length=METHOD)] = ""
    uri: _Text = ""
    protocol: Annotated[str, Meta(max_length=PROTOCOL)] = ""
    status: Annotated[int, Meta(ge=0, le=STATUS_MAX)]
    bytes: _Number = 0
    request_length: _Number | None = None
    request_time: Annotated[float, Meta(ge=0, le=SECONDS_MAX)] | None = None
    referer: _Text = ""
    user_agent: _Text = ""
    upstream_addr: _Short = ""
    upstream_status: _Short = ""
    upstream_response_time: _Short = ""
    upstream_connect_time: _Short = ""


class _Line(msgspec.Struct, gc=False):
    """The fields that are read. Newer fields may come in, and all but four may be missing."""

    remote_addr: str
    status: int | str
    time: str = ""
    msec: float | str | None = None
    bytes: int | str = 0
    x_forwarded_for: str = ""
    remote_user: str = ""
    request_id: str = ""
    client_request_id: str = ""
    host: str = ""
    method: str = ""
    uri: str = ""
    protocol: str = ""
    request_length: int | str | None = None
    request_time: float | str | None = None
    referer: str = ""
    user_agent: str = ""
    upstream_addr: str = ""
    upstream_status: str = ""
    upstream_response_time: str = ""
    upstream_connect_time: str = ""


_decode_usual = msgspec.json.Decoder(_Usual).decode
_decode = msgspec.json.Decoder(_Line).decode


def parse(text: str) -> AccessLine:
    """Parse a line. Seconds are rounded to the milliseconds that their column holds.

    Raises:
        LineError: it is no such object, has no usable time, or a field is out of its bounds.
    """
    try:
        usual = _decode_usual(text)
    except (ValueError, RecursionError):
        return _parse_unusual(text)
    # $msec first: it is the same moment as $time_iso8601, with milliseconds.
    msec = usual.msec
    ts = clock.from_epoch(msec) if msec is not None else clock.ISO[usual.time] + ".000"
    length, seconds = usual.request_length, usual.request_time
    return AccessLine(  # one by one: a call with a star takes twice as long
        ts,
        usual.remote_addr,
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
    )


def _parse_unusual(text: str) -> AccessLine:
    """Parse a line in which numbers are written as texts, or as "-" and "" where there are none."""
    try:
        line = _decode(text)
    except (ValueError, RecursionError) as error:  # the second for brackets nested a thousand deep
        raise LineError("parse", f"not an access line in JSON: {error}") from None
    try:
        length, seconds = _count(line.request_length), _seconds(line.request_time)
        access = AccessLine(
            ts=_time(line),
            client_addr=line.remote_addr,
            status=int(line.status),
            bytes=_count(line.bytes) or 0,
            remote_user=line.remote_user,
            method=line.method,
            uri=line.uri,
            protocol=line.protocol,
            referer=line.referer,
            user_agent=line.user_agent,
            x_forwarded_for=line.x_forwarded_for,
            vhost=line.host,
            request_id=line.request_id,
            client_request_id=line.client_request_id,
            request_length=ABSENT if length is None else length,
            request_time=ABSENT if seconds is None else seconds,
            upstream_addr=line.upstream_addr,
            upstream_status=line.upstream_status,
            upstream_response_time=line.upstream_response_time,
            upstream_connect_time=line.upstream_connect_time,
        )
    except LineError:
        raise
    except ValueError as error:
        raise LineError("parse", f"a number is none: {error}") from None
    require_fit(access, len(text))
    if seconds is not None:
        access.request_time = round(seconds * 1000) / 1000
    return access


def _time(line: _Line) -> str:
    msec = _seconds(line.msec)
    if msec is not None:
        return clock.from_epoch(msec)
    return clock.ISO[line.time] + ".000"


def _count(value: int | str | None) -> int | None:
    if value is None or type(value) is int:
        return value
    return None if value in ("", "-") else int(value)


def _seconds(value: float | str | None) -> float | None:
    if value is None or type(value) is float:
        return value
    return None if value in ("", "-") else float(value)
