"""A batch: what one transaction stores, ready but independent of the store."""

from __future__ import annotations

import logging
import operator
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from obsctl.pipeline import identity, record
from obsctl.pipeline.client_address import TrustedProxies
from obsctl.pipeline.formats.line import AccessLine, ErrorLine, LineError
from obsctl.pipeline.formats.registry import Parse
from obsctl.pipeline.quarantine import DETAIL_LENGTH, Quarantined

log = logging.getLogger(__name__)

#: Host names of stored rows; a longer one is no inventory name.
_HOST_LENGTH = 64


class TopicPartition(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


class Source(NamedTuple):
    """A partition of a topic of a cluster as the store knows it."""

    source_id: int
    cluster_id: str
    topic_id: str = ""


class Message(Protocol):
    """What is needed of a Kafka record; confluent-kafka's has it."""

    def topic(self) -> str: ...
    def partition(self) -> int: ...
    def offset(self) -> int: ...
    def value(self) -> bytes | None: ...


class AccessRow(msgspec.Struct, gc=False):
    """An access line with where it came from.

    Attributes:
        line_id: its identity (16 bytes).
        client_addr: who made the request, behind trusted proxies.
        proxy_addr: the peer that spoke for the client; empty if the client is the peer.
        plain: no text of the line holds a character that a statement or a file for LOAD DATA has to escape.
        value: the record as Kafka holds it, for the case that the store refuses the row.
    """

    line_id: bytes
    source_id: int
    offset: int
    log_format: str
    host: str
    line: AccessLine
    client_addr: str
    proxy_addr: str
    plain: bool
    value: bytes


class ErrorRow(msgspec.Struct, gc=False):
    """An error line with where it came from; attributes as in :class:`AccessRow`."""

    line_id: bytes
    source_id: int
    offset: int
    log_format: str
    host: str
    line: ErrorLine
    value: bytes


class Step(NamedTuple):
    """How a batch moves a source: from the offset that the store must hold to the next one to read."""

    expected: int
    next: int


class Batch(msgspec.Struct):
    """What one transaction stores. Rows are in the order of their keys, no identity occurs twice.

    Attributes:
        steps: by source id.
        partitions: the Kafka partitions it was read from, by source id.
        records: records read, repeated ones included.
        repeated: records whose identity occurred before in this same batch.
        newest_event: the latest event time by source id, as UTC text; sources without a row are missing.
    """

    steps: dict[int, Step]
    partitions: dict[int, TopicPartition]
    access: list[AccessRow]
    errors: list[ErrorRow]
    quarantined: list[Quarantined]
    records: int
    repeated: int
    newest_event: dict[int, str]


def skip(source_id: int, part: TopicPartition, step: Step) -> Batch:
    """Return a batch that holds no line and moves one source over offsets that the broker no longer has."""
    return Batch(
        steps={source_id: step},
        partitions={source_id: part},
        access=[],
        errors=[],
        quarantined=[],
        records=0,
        repeated=0,
        newest_event={},
    )


class Assembler:
    """Makes batches of records."""

    def __init__(self, formats: Mapping[str, Parse], proxies: TrustedProxies) -> None:
        self._formats = formats
        self._proxies = proxies

    def assemble(
        self,
        messages: Iterable[Message],
        sources: Mapping[TopicPartition, Source],
        expected: Mapping[TopicPartition, int],
    ) -> Batch:
        """Parse records into a batch; what is no line of its format is quarantined in it.

        Args:
            messages: records in the order of their offsets within each partition.
            sources: each partition that occurs.
            expected: the offset that the store holds for each of them.
        """
        access: dict[bytes, AccessRow] = {}
        errors: dict[bytes, ErrorRow] = {}
        quarantined: dict[bytes, Quarantined] = {}
        ends: dict[tuple[str, int], int] = {}
        records = 0
        for message in messages:
            place = (message.topic(), message.partition())
            source = sources[place]  # type: ignore[index]  # a TopicPartition is such a tuple; making one costs
            offset = message.offset()
            ends[place] = offset + 1
            records += 1
            value = message.value()
            try:
                row = self._row(value, source, place, offset)
            except Exception as error:
                # A fault of this program. No single record may end the process: it would meet it again at once.
                log.exception("a record could not be judged", extra={"partition": place, "offset": offset})
                line_id = identity.of_record(source.cluster_id, *place, offset, value or b"")
                row = _refuse(line_id, source.source_id, offset, "", "", "internal", type(error).__name__, value)
            if type(row) is AccessRow:
                access.setdefault(row.line_id, row)
            elif type(row) is ErrorRow:
                errors.setdefault(row.line_id, row)
            else:
                assert type(row) is Quarantined  # noqa: S101  there is no fourth
                quarantined.setdefault(row.line_id, row)
        unique = len(access) + len(errors) + len(quarantined)
        sorted_access = sorted(access.values(), key=_by_key)
        sorted_errors = sorted(errors.values(), key=_by_key)
        places = {sources[place].source_id: TopicPartition(*place) for place in ends}  # type: ignore[index]
        return Batch(
            steps={i: Step(expected[place], ends[place]) for i, place in places.items()},
            partitions=places,
            access=sorted_access,
            errors=sorted_errors,
            quarantined=sorted(quarantined.values(), key=lambda q: q.line_id),
            records=records,
            repeated=records - unique,
            newest_event=_newest(sorted_access, sorted_errors, places),
        )

    def _row(
        self, value: bytes | None, source: Source, place: tuple[str, int], offset: int
    ) -> AccessRow | ErrorRow | Quarantined:
        source_id = source.source_id
        try:
            envelope = record.read(value)
        except record.RecordError as error:
            line_id = (
                identity.of_record(source.cluster_id, *place, offset, value or b"")
                if error.origin is None
                else identity.of_broken_line(*error.origin)
            )
            host = error.origin[0] if error.origin else ""
            return _refuse(line_id, source_id, offset, error.log_format, host, error.reason, error.detail, value)
        text = envelope.message
        fields = envelope.fields
        host = envelope.host.name
        log_format = fields.log_format
        line_id = identity.of_line(host, fields.log_input, envelope.log.offset, text.encode())
        assert value is not None  # noqa: S101  record.read refuses null
        try:
            line = self._parse(log_format, host, text)
        except LineError as error:
            return _refuse(line_id, source_id, offset, log_format, host, error.reason, error.detail, value)
        if type(line) is ErrorLine:
            return ErrorRow(line_id, source_id, offset, log_format, host, line, value)
        assert type(line) is AccessLine  # noqa: S101  a parser returns one or the other
        client = peer = line.remote_addr
        if self._proxies:
            client = self._proxies.client(peer, line.x_forwarded_for)
        # Every text is a piece of the line itself as long as JSON has nothing escaped in it, which takes a backslash.
        plain = not ("\\" in text or "'" in text or "\t" in text or "\n" in text or "\0" in text)
        return AccessRow(
            line_id, source_id, offset, log_format, host, line, client, "" if client == peer else peer, plain, value
        )

    def _parse(self, log_format: str, host: str, text: str) -> AccessLine | ErrorLine:
        parse = self._formats.get(log_format)
        if parse is None:
            raise LineError("format", f"no format {log_format[:32]!r} is known")
        if len(host) > _HOST_LENGTH:
            raise LineError("field_length", f"host is longer than {_HOST_LENGTH} characters")
        return parse(text)


def _refuse(  # noqa: PLR0917  the order of Quarantined
    line_id: bytes,
    source_id: int,
    offset: int,
    log_format: str,
    host: str,
    reason: str,
    detail: str,
    value: bytes | None,
) -> Quarantined:
    return Quarantined(line_id, source_id, offset, log_format, host, reason, detail[:DETAIL_LENGTH], value)


_by_key = operator.attrgetter("line.ts", "line_id")


def _newest(access: list[AccessRow], errors: list[ErrorRow], source_ids: Collection[int]) -> dict[int, str]:
    """Return the latest time of each source, from the ends of the sorted rows."""
    newest: dict[int, str] = {}
    tables: tuple[Sequence[AccessRow | ErrorRow], ...] = (access, errors)
    for rows in tables:
        left = set(source_ids)
        for row in reversed(rows):
            if row.source_id in left:
                newest[row.source_id] = max(row.line.ts, newest.get(row.source_id, ""))
                left.remove(row.source_id)
                if not left:
                    break
    return newest
