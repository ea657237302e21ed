"""Makes a batch of records: each one parsed into its row, or into the quarantine with a reason.

If the native module is used, it makes the rows of nearly all records, and only the others are parsed here. Both give
the same batch; this code is the reference.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from obsctl.consumer.native import Native
from obsctl.kafka.partition import TopicPartition
from obsctl.lines import identity, record
from obsctl.lines.client_address import TrustedProxies
from obsctl.lines.formats.format import Parse
from obsctl.lines.formats.line import AccessLine, ErrorLine, Line, LineError, MarkedLine
from obsctl.store.batch import Batch, Run, Source, Step, by_key
from obsctl.store.encoded import EncodedLines
from obsctl.store.quarantine import DETAIL_LENGTH, Quarantined

log = logging.getLogger(__name__)


class _Stream(NamedTuple):
    """What lines of the same log and format have in common.

    Attributes:
        file: the record's ``log.file`` if the input has several logs; otherwise None.
        begun: see :func:`identity.of_origin`.
        parse: None for an unknown format.
    """

    host: str
    fields: record.Fields
    file: msgspec.Raw | None
    begun: blake2b
    parse: Parse | None


class _Judged:
    """Parsed and refused records, by identity; of equal ones the first. Tests are only counted."""

    __slots__ = ("access", "errors", "quarantined", "tests")

    def __init__(self) -> None:
        self.access: dict[bytes, AccessLine] = {}
        self.errors: dict[bytes, ErrorLine] = {}
        self.quarantined: dict[bytes, Quarantined] = {}
        self.tests = 0


class _Parts(NamedTuple):
    """The parts of a batch: the access lines, sorted, their latest time by source id, and the rest.

    Attributes:
        native: how many records the native module read.
    """

    found: _Judged
    access: Sequence[AccessLine]
    newest: Mapping[int, str]
    native: int


class Assembler:
    """Makes batches of records."""

    def __init__(self, formats: Mapping[str, Parse], proxies: TrustedProxies, native: Native | None = None) -> None:
        """Prepare the parsers; without ``native`` all lines are read here."""
        self._formats = formats
        self._proxies = proxies if proxies else None
        self._native = native
        self._stream = self._stream_of("", record.Fields(), record.Log(0))

    def assemble(
        self, runs: Sequence[Run], sources: Mapping[TopicPartition, Source], expected: Mapping[TopicPartition, int]
    ) -> Batch:
        """Parse records into a batch; records that cannot be parsed are quarantined in it, and tests only counted.

        Args:
            runs: records in the order of their offsets within each partition.
            sources: each partition that occurs.
            expected: the offset that the store holds for each of them.
        """
        found, access, newest, native = self._by_native(runs, sources) or self._by_python(runs, sources)
        ends = {run.part: run.first + len(run.values) for run in runs}
        partitions = {sources[part].source_id: part for part in ends}
        batch = Batch(
            steps={source_id: Step(expected[part], ends[part]) for source_id, part in partitions.items()},
            partitions=partitions,
            runs=runs,
            access=access,
            errors=sorted(found.errors.values(), key=by_key),
            quarantined=sorted(found.quarantined.values(), key=lambda q: q.line_id),
        )
        batch.tests = found.tests
        batch.native = native
        batch.repeated = batch.records - len(access) - len(batch.errors) - len(batch.quarantined) - found.tests
        batch.newest_event = _newest(newest, batch.errors, batch.partitions)
        return batch

    def _by_python(self, runs: Sequence[Run], sources: Mapping[TopicPartition, Source]) -> _Parts:
        found = _Judged()
        for run in runs:
            self._judge(run, sources[run.part], enumerate(run.values, run.first), found)
        access = sorted(found.access.values(), key=by_key)
        return _Parts(found, access, _newest({}, access, {sources[run.part].source_id for run in runs}), 0)

    def _by_native(self, runs: Sequence[Run], sources: Mapping[TopicPartition, Source]) -> _Parts | None:
        """Return the parts made by the native module; None without one, or if it failed."""
        native = self._native
        if native is None:
            return None
        found = _Judged()

        def judge(run: Run, places: Sequence[int]) -> Sequence[AccessLine]:
            found.access = {}
            records = ((run.first + place, run.values[place]) for place in places)
            self._judge(run, sources[run.part], records, found)
            return list(found.access.values())

        try:
            rows = native.encode(runs, sources, judge)
        except native.failures as error:
            if native.failed(error):
                log.exception("the native module failed; its batch is read in Python")
            return None
        # A copy, because the lines may be made later, when the reader may have dropped a revoked partition.
        held = {run.part: sources[run.part] for run in runs}
        lines = EncodedLines(rows.arrays, rows.line_ids, rows.minutes, lambda: self._by_python(runs, held).access)
        return _Parts(found, lines, rows.newest, rows.records)

    def _judge(self, run: Run, source: Source, records: Iterable[tuple[int, bytes | None]], found: _Judged) -> None:
        """Sort a run's records, given with their offsets, into lines, quarantined records and tests."""
        access = found.access
        for offset, value in records:
            try:
                line = self._read(value, source, run.part, offset)
            except Exception as error:
                # A bug of this program. A single record must not end the process, which would read it again at once.
                log.exception("a record could not be processed", extra={"partition": run.part, "offset": offset})
                line_id = identity.of_record(source.cluster_id, *run.part, offset, value or b"")
                line = _refuse(line_id, source.source_id, offset, "", "", "internal", type(error).__name__, value)
            if type(line) is AccessLine:
                access.setdefault(line.line_id, line)
            elif type(line) is ErrorLine:
                found.errors.setdefault(line.line_id, line)
            elif line is None:
                found.tests += 1
            else:
                assert type(line) is Quarantined  # noqa: S101  there is no fifth
                found.quarantined.setdefault(line.line_id, line)

    def _read(
        self, value: bytes | None, source: Source, part: TopicPartition, offset: int
    ) -> Line | Quarantined | None:
        """Return the line or the quarantined record; None for a request of a rule test, which is not stored."""
        source_id = source.source_id
        host, fields, file, begun, parse = self._stream
        try:
            envelope = record.decode(value or b"")
            # Most lines are of the same stream as the previous one.
            if (
                envelope.host.name != host
                or envelope.fields != fields
                or (file is not None and envelope.log.file != file)
            ):
                # The writer's thread reads lines of encoded rows again, so the two threads must not share the current
                # stream.
                stream = self._stream_of(envelope.host.name, envelope.fields, envelope.log)
                host, fields, file, begun, parse = self._stream = stream
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
            self._proxies.see_through(line)
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


def _newest(known: Mapping[int, str], lines: Sequence[Line], source_ids: Collection[int]) -> dict[int, str]:
    """Return the latest time of each source, from the known times and the end of the sorted lines."""
    newest = dict(known)
    left = set(source_ids)
    for line in reversed(lines):
        if line.source_id in left:
            newest[line.source_id] = max(line.ts, newest.get(line.source_id, ""))
            left.remove(line.source_id)
            if not left:
                break
    return newest
