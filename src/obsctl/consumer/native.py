"""Makes batches with the native module (:mod:`obsctl.lines.native`): from records to rows and roll-ups."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from obsctl.consumer.telemetry import INTERNAL_ERROR_HINT, Telemetry
from obsctl.kafka.partition import TopicPartition
from obsctl.lines.client_address import TrustedProxies
from obsctl.lines.formats.format import Parse
from obsctl.lines.formats.line import AccessLine
from obsctl.lines.native import Module, chosen
from obsctl.store import rollup
from obsctl.store.batch import Run, Source
from obsctl.store.mysql.rows import arrays
from obsctl.store.rollup import Key, Totals

#: The subject of the notice about a fault.
NOTICE = "native module"


class _Batch(Protocol):
    """The module's class; see ``native/src/lib.rs``."""

    def clear(self) -> None: ...
    def take(self, values: list[bytes | None], first: int, source: int, /) -> list[int]: ...
    def give(self, record: int, row: bytes, line_id: bytes, source: int, /) -> None: ...
    def finish(
        self,
    ) -> tuple[bytes, bytes, dict[int, str], list[tuple[str, int, str, str, int, int, int, list[int]]], list[int]]: ...


class Encoded(NamedTuple):
    """The access lines of a batch.

    Attributes:
        arrays, line_ids, minutes: see :class:`obsctl.store.encoded.EncodedLines`.
        newest: the latest time by source id.
        records: how many records the module read.
    """

    arrays: bytes
    line_ids: bytes
    minutes: Mapping[Key, Totals]
    newest: Mapping[int, str]
    records: int


#: Reads the records of a run at these indexes in Python, and returns the access lines among them, of equal ones the
#: first.
Judge = Callable[[Run, Sequence[int]], Sequence[AccessLine]]


class Native:
    """Encodes batches by the module.

    Attributes:
        failures: see :class:`obsctl.lines.native.Module`.
    """

    def __init__(self, formats: Mapping[str, Parse], proxies: TrustedProxies, telemetry: Telemetry) -> None:
        """Load the module.

        Raises:
            UnavailableError: it cannot be used.
        """
        module = Module(formats, proxies)
        self.failures = module.failures
        self._telemetry = telemetry
        self._make: Callable[[], _Batch] = functools.partial(module.make, "Batch", rollup.LATENCY_BOUNDS_MS)
        self._batch = self._make()

    def encode(self, runs: Sequence[Run], sources: Mapping[TopicPartition, Source], judge: Judge) -> Encoded:
        """Return the access lines of runs as rows.

        Args:
            runs, sources: as for :meth:`obsctl.consumer.assembler.Assembler.assemble`.
            judge: called with the records that the module does not read, in the order of the runs.

        Raises:
            One of :attr:`failures`; the batch must then be made in Python, and :meth:`failed` called.
        """
        batch = self._batch
        batch.clear()
        given: dict[int, AccessLine] = {}
        number = left_over = 0
        for run in runs:
            source_id = sources[run.part].source_id
            left = batch.take(run.values, run.first, source_id)
            lines = judge(run, left) if left else ()
            for line, row in zip(lines, arrays(lines).split(b"\n"), strict=False):  # nothing follows the last one
                record = number + line.kafka_offset - run.first
                batch.give(record, row + b"\n", line.line_id, source_id)
                given[record] = line
            number += len(run.values)
            left_over += len(left)
        rows, line_ids, newest, rollups, kept = batch.finish()
        minutes = rollup.count(given[record] for record in kept)
        for begin, source_id, host, route, status, requests, size, latency in rollups:
            totals = minutes.setdefault(Key(begin, source_id, host, route, status), Totals())
            totals.requests += requests
            totals.bytes += size
            totals.latency = [mine + more for mine, more in zip(totals.latency, latency, strict=True)]
        return Encoded(rows, line_ids, minutes, newest, number - left_over)

    def failed(self, error: BaseException) -> bool:
        """Count a fault, and replace the module's object with a new one; return whether this fault is new."""
        self._batch = self._make()
        return self._telemetry.native_fault(NOTICE, f"a batch was read in Python: {error!r}", INTERNAL_ERROR_HINT)


def find(
    formats: Mapping[str, Parse], proxies: TrustedProxies, telemetry: Telemetry, *, wanted: bool = True
) -> Native | None:
    """Return the module if it can be used, and record in the telemetry what reads the records, and why.

    Args:
        wanted: False if the configuration says ``native: false``.
    """
    native, telemetry.read_by = chosen(lambda: Native(formats, proxies, telemetry), wanted=wanted)
    return native
