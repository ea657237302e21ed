"""What a parsed line is, whatever its format was: a row of its table.

The fields have the names of the table's columns, and are given to the store in this order.
"""

from __future__ import annotations

import msgspec

#: Characters that all but the narrowest text columns take: a line no longer than this fits them.
SHORT_LINE = 255
#: Characters that the narrowest columns take.
METHOD, PROTOCOL, REQUEST_ID = 32, 16, 64
#: Bytes that the TEXT columns take.
TEXT_BYTES = 65_535
#: Columns of 64 bits, nginx's three digits of a status, and thirty years of a request.
NUMBER_MAX = 2**63 - 1
STATUS_MAX = 999
SECONDS_MAX = 1e9
#: What a number is that the line does not tell: SQL's own word for it, so that no store has to put it there.
ABSENT = msgspec.Raw(b"NULL")


class LineError(ValueError):
    """A line that its format does not know.

    Attributes:
        reason: a short stable word for the quarantine.
        detail: what is wrong, for people.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class _Line(msgspec.Struct, array_like=True, gc=False, kw_only=True):
    """Where a line came from. Parsers do not know it; the assembler fills it in.

    Attributes:
        log_format: what the shipper called its format.
        host: who wrote it, by its inventory name.
        source_id: the store's name for the partition that it was read from.
        kafka_offset: its place there.
        line_id: its identity (16 bytes).
    """

    log_format: str = ""
    host: str = ""
    source_id: int = 0
    kafka_offset: int = 0
    line_id: bytes = b""


class AccessLine(_Line, array_like=True, gc=False):
    """One request as a balancer logged it. What the line does not say is an empty text or :data:`ABSENT`.

    Attributes:
        ts: the event's time in UTC as ``YYYY-MM-DD HH:MM:SS.mmm``, ready for the store and for sorting.
        client_addr: the peer of the connection; behind trusted proxies the assembler puts the client here.
        bytes: bytes of the answer's body.
        uri: the request's target as logged; the whole request where it is no HTTP request (then no method).
        request_time: seconds.
        proxy_addr: the peer that spoke for the client; empty if the client is the peer.
    """

    ts: str
    client_addr: str
    status: int
    bytes: int
    remote_user: str = ""
    method: str = ""
    uri: str = ""
    protocol: str = ""
    referer: str = ""
    user_agent: str = ""
    x_forwarded_for: str = ""
    vhost: str = ""
    request_id: str = ""
    client_request_id: str = ""
    request_length: int | msgspec.Raw = ABSENT
    request_time: float | msgspec.Raw = ABSENT
    upstream_addr: str = ""
    upstream_status: str = ""
    upstream_response_time: str = ""
    upstream_connect_time: str = ""
    proxy_addr: str = ""


class ErrorLine(_Line, array_like=True, gc=False):
    """One line of nginx's error log; ``ts`` as in :class:`AccessLine`."""

    ts: str
    level: str
    pid: int
    tid: int
    message: str
    connection_id: int | msgspec.Raw = ABSENT
    client_addr: str = ""
    server_name: str = ""
    request: str = ""
    upstream: str = ""
    vhost: str = ""
    referer: str = ""


#: What a parser makes of a line.
Line = AccessLine | ErrorLine


def require_fit(line: AccessLine, length: int) -> None:
    """Refuse a line whose texts or numbers its columns cannot hold.

    The database would refuse it as well, but then a whole batch has to be unrolled to find it.

    Args:
        line: what was parsed.
        length: characters of the whole line, which no text of it exceeds.

    Raises:
        LineError: names the first field that is too long or out of range.
    """
    # One expression for what nearly all lines pass; which field it is, is asked only when one does not fit.
    if not (
        0 <= line.status <= STATUS_MAX
        and 0 <= line.bytes <= NUMBER_MAX
        and (isinstance(line.request_length, msgspec.Raw) or 0 <= line.request_length <= NUMBER_MAX)
        and (isinstance(line.request_time, msgspec.Raw) or 0 <= line.request_time <= SECONDS_MAX)
        and len(line.method) <= METHOD
        and len(line.protocol) <= PROTOCOL
        and len(line.request_id) <= REQUEST_ID
        and (
            length <= SHORT_LINE
            or (
                len(line.client_addr) <= SHORT_LINE
                and len(line.remote_user) <= SHORT_LINE
                and len(line.vhost) <= SHORT_LINE
                and len(line.client_request_id) <= SHORT_LINE
                and len(line.upstream_addr) <= SHORT_LINE
                and len(line.upstream_status) <= SHORT_LINE
                and len(line.upstream_response_time) <= SHORT_LINE
                and len(line.upstream_connect_time) <= SHORT_LINE
                and length * _BYTES_PER_CHARACTER <= TEXT_BYTES
            )
        )
    ):
        _name_misfit(line, length)


def _name_misfit(line: AccessLine, length: int) -> None:
    """Raise for the first field that does not fit, if there is one."""
    if not (0 <= line.status <= STATUS_MAX and 0 <= line.bytes <= NUMBER_MAX):
        raise LineError("field_range", "status or bytes is out of range")
    if not isinstance(line.request_length, msgspec.Raw) and not 0 <= line.request_length <= NUMBER_MAX:
        raise LineError("field_range", "request_length is out of range")
    if not isinstance(line.request_time, msgspec.Raw) and not 0 <= line.request_time <= SECONDS_MAX:
        raise LineError("field_range", "request_time is out of range")
    for name, limit in _CHARACTERS if length > SHORT_LINE else _NARROW:
        if len(getattr(line, name)) > limit:
            raise LineError("field_length", f"{name} is longer than {limit} characters")
    if length * _BYTES_PER_CHARACTER > TEXT_BYTES:
        for name in ("uri", "referer", "user_agent", "x_forwarded_for"):
            if len(getattr(line, name).encode()) > TEXT_BYTES:
                raise LineError("field_length", f"{name} is longer than {TEXT_BYTES} bytes")


_BYTES_PER_CHARACTER = 4
_NARROW = (("method", METHOD), ("protocol", PROTOCOL), ("request_id", REQUEST_ID))
_CHARACTERS = (
    *_NARROW,
    ("client_addr", SHORT_LINE),
    ("remote_user", SHORT_LINE),
    ("vhost", SHORT_LINE),
    ("client_request_id", SHORT_LINE),
    ("upstream_addr", 1024),
    ("upstream_status", SHORT_LINE),
    ("upstream_response_time", SHORT_LINE),
    ("upstream_connect_time", SHORT_LINE),
)
