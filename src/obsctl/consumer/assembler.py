"""Makes a batch of records: each one parsed into its row, or into the quarantine with a reason."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from obsctl.kafka.partition import TopicPartition
from obsctl.lines import identity, record
from obsctl.lines.client_address import TrustedProxies
from obsctl.lines.formats.format import Parse
from obsctl.lines.formats.line import AccessLine, ErrorLine, Line, LineError, MarkedLine
from obsctl.store.batch import Batch, Run, Source, Step, by_key
from obsctl.store.quarantine import DETAIL_LENGTH, Quarantined

log = logging.getLogger(__name__)


class _Stream(NamedTuple):
    """What lines of one log in one format have in common.

    Attributes:
        file: the record's ``log.file`` where the input has several logs; else None.
        begun: see :func:`identity.of_origin`.
        parse: None for a format that is not known.
    """

    host: str
    fields: record.Fields
    file: msgspec.Raw | None
    begun: blake2b
    parse: Parse | None


class Assembler:
    """Makes batches of records."""

    def __init__(self, formats: Mapping[str, Parse], proxies: TrustedProxies) -> None:
        self._formats = formats
        self._proxies = proxies if proxies else None
        self._stream = self._stream_of("", record.Fields(), record.Log(0))

    def assemble(
        self, runs: Sequence[Run], sources: Mapping[TopicPartition, Source], expected: Mapping[TopicPartition, int]
    ) -> Batch:
        """Parse records into a batch; what is no line of its format is quarantined in it, and tests are counted only.

        Args:
            runs: records in the order of their offsets within each partition.
            sources: each partition that occurs.
            expected: the offset that the store holds for each of them.
        """
        access: dict[bytes, AccessLine] = {}
        errors: dict[bytes, ErrorLine] = {}
        quarantined: dict[bytes, Quarantined] = {}
        tests = 0
        for run in runs:
            source = sources[run.part]
            for offset, value in enumerate(run.values, run.first):
                try:
                    line = self._read(value, source, run.part, offset)
                except Exception as error:
                    # A fault of this program. No single record may end the process: it would meet it again at once.
                    log.exception("a record could not be processed", extra={"partition": run.part, "offset": offset})
                    line_id = identity.of_record(source.cluster_id, *run.part, offset, value or b"")
                    line = _refuse(line_id, source.source_id, offset, "", "", "internal", type(error).__name__, value)
                if type(line) is AccessLine:
                    access.setdefault(line.line_id, line)
                elif type(line) is ErrorLine:
                    errors.setdefault(line.line_id, line)
                elif line is None:
                    tests += 1
                else:
                    assert type(line) is Quarantined  # noqa: S101  there is no fifth
                    quarantined.setdefault(line.line_id, line)
        ends = {run.part: run.first + len(run.values) for run in runs}
        partitions = {sources[part].source_id: part for part in ends}
        batch = Batch(
            steps={source_id: Step(expected[part], ends[part]) for source_id, part in partitions.items()},
            partitions=partitions,
            runs=runs,
            access=sorted(access.values(), key=by_key),
            errors=sorted(errors.values(), key=by_key),
            quarantined=sorted(quarantined.values(), key=lambda q: q.line_id),
        )
        batch.tests = tests
        batch.repeated = batch.records - len(access) - len(errors) - len(quarantined) - tests
        batch.newest_event = _newest(batch)
        return batch

    def _read(
        self, value: bytes | None, source: Source, part: TopicPartition, offset: int
    ) -> Line | Quarantined | None:
        """Return what becomes of a record; None for a request of a test of an alert rule, which is nobody's."""
        source_id = source.source_id
        host, fields, file, begun, parse = self._stream
        try:
            envelope = record.decode(value or b"")
            # Most often the line is of the same stream as the one before it.
            if (
                envelope.host.name != host
                or envelope.fields != fields
                or (file is not None and envelope.log.file != file)
            ):
                self._stream = self._stream_of(envelope.host.name, envelope.fields, envelope.log)
                host, fields, file, begun, parse = self._stream
        except record.UNREADABLE as error:
            refusal = error if isinstance(error, record.RecordError) else record.refusal(value, error)
            line_id = (
                identity.of_record(source.cluster_id, *part, offset, value or b"")
                if refusal.origin is None
                else identity.of_broken_line(*refusal.origin)
            )
            host = refusal.origin[0] if refusal.origin else ""
            return _refuse(line_id, source_id, offset, refusal.log_format, host, refusal.reason, refusal.detail, value)
        log_format = fields.log_format
        text = envelope.message
        line_id = identity.of_line(begun, envelope.log.offset, text)
        try:
            if parse is None:
                raise LineError("format", f"no format {log_format[:32]!r} is known")  # noqa: TRY301  as the parsers do
            if len(host) > record.HOST_LENGTH:
                raise LineError("field_length", f"host is longer than {record.HOST_LENGTH} characters")  # noqa: TRY301
            line = parse(text)
        except LineError as error:
            return _refuse(line_id, source_id, offset, log_format, host, error.reason, error.detail, value)
        if isinstance(line, MarkedLine):
            return None
        line.line_id = line_id
        line.source_id = source_id
        line.kafka_offset = offset
        line.log_format = log_format
        line.host = host
        if self._proxies and type(line) is AccessLine:
            peer = line.client_addr
            line.client_addr = self._proxies.client(peer, line.x_forwarded_for)
            if line.client_addr != peer:
                line.proxy_addr = peer
        return line

    def _stream_of(self, host: str, fields: record.Fields, log: record.Log) -> _Stream:
        begun = identity.of_origin(host, fields.log_input, record.log_file(fields, log))
        file = log.file if fields.log_files else None
        return _Stream(host, fields, file, begun, self._formats.get(fields.log_format))


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


def _newest(batch: Batch) -> dict[int, str]:
    """Return the latest time of each source, from the ends of the sorted lines."""
    newest: dict[int, str] = {}
    tables: tuple[Sequence[Line], ...] = (batch.access, batch.errors)
    for lines in tables:
        left = set(batch.partitions)
        for line in reversed(lines):
            if line.source_id in left:
                newest[line.source_id] = max(line.ts, newest.get(line.source_id, ""))
                left.remove(line.source_id)
                if not left:
                    break
    return newest
