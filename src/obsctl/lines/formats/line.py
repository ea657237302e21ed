"""A parsed line of any format: a row of its table.

The fields have the names of the table's columns, and are given to the store in this order. A field's type defines what
its column can hold. This is its only definition: the parsers and :func:`fit` use it, and tests compare it with the
migrations and docs/reference/schema.md.
"""

from __future__ import annotations

import operator
import typing
from collections.abc import Callable
from enum import Enum
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

#: Width of most text columns, characters.
SHORT = 255
#: Size of a TEXT and of a MEDIUMTEXT column, bytes.
_TEXT_BYTES, _MEDIUMTEXT_BYTES = 2**16 - 1, 2**24 - 1
#: How many characters always fit into a TEXT column: each takes at most four bytes in UTF-8.
_CHARACTER_BYTES = 4
SURELY_TEXT = _TEXT_BYTES // _CHARACTER_BYTES
#: What may precede a line without being part of it: NULs after a copy-and-truncate rotation, and a byte order mark.
UNSEEN = "\0\ufeff"
#: Limits: 64-bit columns, nginx's three-digit statuses, and thirty years for a request.
NUMBER_MAX = 2**63 - 1
STATUS_MAX = 999
SECONDS_MAX = 1e9


class Absent:
    """The value of a number that is missing in the line. The only instance is :data:`ABSENT`."""

    __slots__ = ()


ABSENT = Absent()


class Keep(Enum):
    """Which part of a too long text is kept, if that is not simply the beginning.

    A list is cut between two entries, because half an address is another address, and half a number another number.
    """

    FIRST_ENTRIES = "first entries"
    #: X-Forwarded-For grows to the right, and only what trusted proxies have added there can be believed.
    LAST_ENTRIES = "last entries"


# ``max_length`` is a number of characters that always fits; if the column's limit is in bytes, ``extra`` has it.
Short = Annotated[str, Meta(max_length=SHORT)]
Method = Annotated[str, Meta(max_length=32)]
Protocol = Annotated[str, Meta(max_length=16)]
Cipher = Annotated[str, Meta(max_length=64)]
RequestId = Annotated[str, Meta(max_length=64)]
Text = Annotated[str, Meta(max_length=SURELY_TEXT, extra={"bytes": _TEXT_BYTES})]
MediumText = Annotated[str, Meta(max_length=_MEDIUMTEXT_BYTES // _CHARACTER_BYTES, extra={"bytes": _MEDIUMTEXT_BYTES})]
ForwardedFor = Annotated[Text, Keep.LAST_ENTRIES]
ShortList = Annotated[Short, Keep.FIRST_ENTRIES]
LongList = Annotated[str, Meta(max_length=1024), Keep.FIRST_ENTRIES]


class LineError(ValueError):
    """A line does not match its format.

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
        log_format: what the shipper called its format
        host: who wrote it, by its inventory name
        source_id: the store's name for the partition that it was read from
        kafka_offset: its place there
        line_id: its identity (16 bytes)
    """

    log_format: str = ""
    host: str = ""
    source_id: int = 0
    kafka_offset: int = 0
    line_id: bytes = b""


class AccessLine(_Line, array_like=True, gc=False):
    r"""One request as a balancer logged it. What the line does not say is an empty text or :data:`ABSENT`.

    Attributes:
        ts: the event's time in UTC as ``YYYY-MM-DD HH:MM:SS.mmm``, ready for the store and for sorting
        client_addr: who made the request: the peer, or behind a proxy of `trusted_proxies` the last address of
            X-Forwarded-For that is no such proxy. An address (without its port), a host name, or `unix:`
        status: as logged; 0 where there was none
        bytes: bytes of the answer's body; `-` is 0
        remote_user: user of basic authentication
        method: as logged; empty where the request is no HTTP request
        uri: the target of the request; where it is no HTTP request (empty, a TLS greeting), the whole of it
        protocol: as logged
        referer: as logged; escapes (`\x22`, `\"`) of combined lines stay
        user_agent: as logged; escapes stay
        x_forwarded_for: the header, or the list of addresses before the peer
        vhost: `$host`, or the virtual host before a combined line
        request_id: nginx's own id
        client_request_id: the accepted or made `X-Request-ID`
        request_length: bytes of the request, headers included
        request_time: seconds
        upstream_addr: the back ends that were tried, as nginx writes them: a list where there were several
        upstream_status: their statuses, in the same order
        upstream_response_time: seconds, in the same order
        upstream_connect_time: seconds, in the same order
        scheme: `http` or `https`, as the client spoke to the balancer
        ssl_protocol: version of TLS, such as `TLSv1.3`; empty without TLS
        ssl_cipher: the cipher suite, in OpenSSL's spelling; empty without TLS
        proxy_addr: the peer that spoke for the client; empty if the client is the peer
        cut_fields: names of the fields that were longer than their columns, or cut in the log, separated by commas
    """

    ts: str
    client_addr: Short
    status: int
    bytes: int
    remote_user: Short = ""
    method: Method = ""
    uri: Text = ""
    protocol: Protocol = ""
    referer: Text = ""
    user_agent: Text = ""
    x_forwarded_for: ForwardedFor = ""
    vhost: Short = ""
    request_id: RequestId = ""
    client_request_id: Short = ""
    request_length: int | Absent = ABSENT
    request_time: float | Absent = ABSENT
    upstream_addr: LongList = ""
    upstream_status: ShortList = ""
    upstream_response_time: ShortList = ""
    upstream_connect_time: ShortList = ""
    scheme: Protocol = ""
    ssl_protocol: Protocol = ""
    ssl_cipher: Cipher = ""
    proxy_addr: Short = ""
    cut_fields: str = ""


class ErrorLine(_Line, array_like=True, gc=False):
    """One line of nginx's error log.

    Attributes:
        ts: as in `access_log`
        level: `error`, `warn` …
        pid: of the worker
        tid: of its thread
        message: without the context, but with those parts of it that have no column (the login of the mail module, the
            bytes of a stream session)
        connection_id: nginx's number of the connection
        client_addr: an address or `unix:`, if the line has a context and it is certainly nginx's
        server_name: of the server block, or the address that it listens on
        request: the request's line
        upstream: who was asked, with the target
        vhost: the Host header
        referer: the Referer header
        cut_fields: as in `access_log`
    """

    ts: str
    level: str
    pid: int
    tid: int
    message: MediumText
    connection_id: int | Absent = ABSENT
    client_addr: Short = ""
    server_name: Short = ""
    request: Text = ""
    upstream: Text = ""
    vhost: Short = ""
    referer: Text = ""
    cut_fields: str = ""


#: How the marks of ``obsctl verify lb``'s requests begin, unlike those of rule tests.
PROBE = "probe-"
#: A row of a table.
Line = AccessLine | ErrorLine


class MarkedLine(msgspec.Struct, gc=False):
    """A request that was signed with the fleet's secret, as its balancer logged it: it is neither stored nor counted.

    Attributes:
        mark: names an alert rule and its test, or begins with :data:`PROBE`.
        line: the request.
    """

    mark: str
    line: AccessLine


#: A parser's result.
Parsed = Line | MarkedLine


class Width(NamedTuple):
    """What fits into a text column.

    Attributes:
        characters: this many always fit.
        bytes: the limit in UTF-8, if the column counts bytes; otherwise 0.
        keep: which part of a longer text is kept; None for its beginning.
    """

    characters: int
    bytes: int = 0
    keep: Keep | None = None

    def cut(self, text: str) -> str:
        """Return as much of a text as fits into the column, in whole characters, or in whole entries of a list."""
        if len(text) <= self.characters or (self.bytes and len(text.encode()) <= self.bytes):
            return text
        last = self.keep is Keep.LAST_ENTRIES
        if not self.bytes:
            kept = text[-self.characters :] if last else text[: self.characters]
        else:
            encoded = text.encode()
            kept = (encoded[-self.bytes :] if last else encoded[: self.bytes]).decode(errors="ignore")
        if last:
            return kept.partition(",")[2].lstrip() or kept
        if self.keep is Keep.FIRST_ENTRIES:
            # nginx writes ", " between servers, and " : " where it passed a request on to another group of servers.
            return kept[: max(kept.rfind(", "), kept.rfind(" : "))] if ", " in kept or " : " in kept else kept
        return kept


def widths(line: type[Line]) -> dict[str, Width]:
    """Return the widths of a table's text columns, by field name."""
    found = {}
    for name, hint in typing.get_type_hints(line, include_extras=True).items():
        kept = next((note for note in typing.get_args(hint) if isinstance(note, Keep)), None)
        for note in typing.get_args(hint):
            if isinstance(note, Meta) and note.max_length:
                found[name] = Width(note.max_length, (note.extra or {}).get("bytes", 0), kept)
    return found


class _Table(NamedTuple):
    """The text columns of a table: a getter of their values, and how many characters of each always fit."""

    widths: dict[str, Width]
    texts: Callable[[Any], tuple[str, ...]]
    characters: tuple[int, ...]

    @classmethod
    def of(cls, line: type[Line]) -> _Table:
        found = widths(line)
        return cls(found, operator.attrgetter(*found), tuple(width.characters for width in found.values()))


_ACCESS, _ERROR = _Table.of(AccessLine), _Table.of(ErrorLine)


def fit(line: Line) -> None:
    """Make a line fit its columns: cut longer texts, and name their fields in ``cut_fields``.

    A request must be stored and counted whatever its client sends: a long header must not put the line into
    quarantine.

    Raises:
        LineError: a number is out of its column's range. The database would refuse it as well, but finding it in a
            batch then takes many statements.
    """
    table = _ERROR
    if type(line) is AccessLine:
        table = _ACCESS
        if not (0 <= line.status <= STATUS_MAX and 0 <= line.bytes <= NUMBER_MAX):
            raise LineError("field_range", "status or bytes is out of range")
        if not isinstance(line.request_length, Absent) and not 0 <= line.request_length <= NUMBER_MAX:
            raise LineError("field_range", "request_length is out of range")
        if not isinstance(line.request_time, Absent) and not 0 <= line.request_time <= SECONDS_MAX:
            raise LineError("field_range", "request_time is out of range")
    if any(map(operator.gt, map(len, table.texts(line)), table.characters)):
        _cut(line, table)


def _cut(line: Line, table: _Table) -> None:
    marks = line.cut_fields.split(",") if line.cut_fields else []
    for (name, width), text in zip(table.widths.items(), table.texts(line), strict=True):
        kept = width.cut(text)
        if kept != text:
            setattr(line, name, kept)
            marks += [name] if name not in marks else []
    line.cut_fields = ",".join(marks)
