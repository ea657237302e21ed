"""``json``: nginx's access log as one JSON object a line (``escape=json``), fields as docs/reference/log-format.md."""

from __future__ import annotations

import msgspec
from msgspec.structs import astuple

from obsctl.pipeline.formats import clock
from obsctl.pipeline.formats.line import AccessLine, LineError, require_fit


class _Usual(msgspec.Struct, gc=False):
    """A line whose numbers are numbers, as nginx writes nearly all: AccessLine's fields in its order, and times."""

    remote_addr: str
    status: int
    bytes: int = 0
    remote_user: str = ""
    method: str = ""
    uri: str = ""
    protocol: str = ""
    referer: str = ""
    user_agent: str = ""
    x_forwarded_for: str = ""
    host: str = ""
    request_id: str = ""
    client_request_id: str = ""
    request_length: int | None = None
    request_time: float | None = None
    upstream_addr: str = ""
    upstream_status: str = ""
    upstream_response_time: str = ""
    upstream_connect_time: str = ""
    msec: float | None = None
    time: str = ""


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
    """Parse a line.

    Raises:
        LineError: it is no such object, has no usable time, or a field is out of its bounds.
    """
    try:
        usual = _decode_usual(text)
    except (ValueError, RecursionError):
        return _parse_unusual(text)
    # $msec first: it is the same moment as $time_iso8601, with milliseconds.
    *fields, msec, time = astuple(usual)
    access = AccessLine(clock.from_epoch(msec) if msec is not None else clock.ISO[time] + ".000", *fields)
    require_fit(access, len(text))
    return access


def _parse_unusual(text: str) -> AccessLine:
    """Parse a line in which numbers are written as texts, or as "-" and "" where there are none."""
    try:
        line = _decode(text)
    except (ValueError, RecursionError) as error:  # the second for brackets nested a thousand deep
        raise LineError("parse", f"not an access line in JSON: {error}") from None
    try:
        access = AccessLine(
            ts=_time(line),
            remote_addr=line.remote_addr,
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
            request_length=_count(line.request_length),
            request_time=_seconds(line.request_time),
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
