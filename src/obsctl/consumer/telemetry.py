"""Counters and states of a consumer process, updated by its threads and sent as a report."""

from __future__ import annotations

import bisect
import threading
import time
from collections.abc import Mapping

import msgspec

from obsctl.core.consumer_page import Note
from obsctl.core.utc import iso
from obsctl.kafka.partition import TopicPartition
from obsctl.store.batch import Batch
from obsctl.store.interface import Outcome

#: Upper bounds of the buckets of times (seconds).
SECONDS_BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
#: Upper bounds of the buckets of batch sizes (records).
RECORDS_BOUNDS = (1.0, 10.0, 100.0, 500.0, 1000.0, 2500.0, 5000.0, 10_000.0, 50_000.0)
#: How long a notice is kept, seconds.
_NOTICE_S = 24 * 3600.0
#: A message and its hint are cut at this many characters: errors of drivers can hold whole statements.
_TEXT_LENGTH = 500
#: The hint for a trouble that only a fix of this program can end.
INTERNAL_ERROR_HINT = "a bug in obsctl: report it with the traceback, journalctl -u obsctl-consumer -n 100"


class Histogram(msgspec.Struct):
    """The number of values in each bucket (the last one has no upper bound), and their sum."""

    buckets: list[int]
    total: float = 0.0

    def observe(self, value: float, bounds: tuple[float, ...]) -> None:
        """Count a value."""
        self.buckets[bisect.bisect_left(bounds, value)] += 1
        self.total += value

    def add(self, other: Histogram) -> None:
        """Add another histogram with the same buckets."""
        self.buckets = [mine + theirs for mine, theirs in zip(self.buckets, other.buckets, strict=True)]
        self.total += other.total


#: The counters that are plain numbers.
_SUMS = (
    *("stored", "quarantined", "known", "test", "refused", "attempts", "fenced", "missing_offsets"),
    *("native", "native_faults"),
)


def _times() -> Histogram:
    return Histogram([0] * (len(SECONDS_BOUNDS) + 1))


def _sizes() -> Histogram:
    return Histogram([0] * (len(RECORDS_BOUNDS) + 1))


class Counters(msgspec.Struct):
    """Counts since the start of a process; those of several processes can be added.

    Attributes:
        test: signed requests, tests of alert rules and probes, which are stored nowhere.
        refused: of the quarantined records, those that the store refused.
        commit: seconds to store a batch.
        assembly: seconds to parse one.
        batch: records in one.
        native: records that the native module read; the others were read in Python.
        native_faults: batches that were read in Python because the module failed.
        cpu_seconds: CPU time of the process.
    """

    stored: int = 0
    quarantined: int = 0
    known: int = 0
    test: int = 0
    refused: int = 0
    by_reason: dict[str, int] = msgspec.field(default_factory=dict)
    attempts: int = 0
    fenced: int = 0
    missing_offsets: int = 0
    native: int = 0
    native_faults: int = 0
    commit: Histogram = msgspec.field(default_factory=_times)
    assembly: Histogram = msgspec.field(default_factory=_times)
    batch: Histogram = msgspec.field(default_factory=_sizes)
    cpu_seconds: float = 0.0

    @property
    def records(self) -> int:
        """All processed records, whatever the result."""
        return self.stored + self.quarantined + self.known + self.test

    def add(self, other: Counters) -> None:
        """Add another process's counts."""
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for reason, count in other.by_reason.items():
            self.by_reason[reason] = self.by_reason.get(reason, 0) + count
        self.commit.add(other.commit)
        self.assembly.add(other.assembly)
        self.batch.add(other.batch)
        self.cpu_seconds += other.cpu_seconds


class PartitionState(msgspec.Struct, frozen=True):
    """The progress of a partition.

    Attributes:
        next_offset: the first offset that is not stored; None while unknown.
        end: the next offset to be written; None if unknown.
    """

    topic: str
    partition: int
    next_offset: int | None
    end: int | None

    @property
    def lag(self) -> int | None:
        """Number of records that are not stored yet; None if unknown."""
        if self.next_offset is None or self.end is None:
            return None
        return max(self.end - self.next_offset, 0)


class Report(msgspec.Struct):
    """A worker's report to its supervisor.

    Attributes:
        last_commit: when a batch was last stored (seconds since the epoch).
        last_row: when a new row was last stored.
        newest_event: the latest event time stored, as UTC text; empty if none was.
        partitions: those assigned to the worker.
        read_by: what reads the records, for people: the native module, or Python and why.
    """

    counters: Counters
    troubles: dict[str, Note]
    notices: dict[str, Note]
    partitions: list[PartitionState]
    last_commit: float | None
    last_row: float | None
    newest_event: str
    read_by: str = ""


class Telemetry:
    """Counters since the start of the process, and the present state. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.counters = Counters()
        self.last_commit: float | None = None
        self.last_row: float | None = None
        self.newest_event = ""
        self.read_by = ""
        self.troubles: dict[str, Note] = {}
        self._notices: dict[str, Note] = {}
        #: The partitions assigned to this process, with the first offset that is not stored; None while unknown.
        self.positions: Mapping[TopicPartition, int | None] = {}
        self.beyond: dict[str, int] = {}
        self.dead_letters = 0

    def assembled(self, records: int, native: int, seconds: float) -> None:
        """Count a batch that was parsed, how many of its records the native module read, and how long it took."""
        with self._lock:
            self.counters.native += native
            self.counters.batch.observe(records, RECORDS_BOUNDS)
            self.counters.assembly.observe(seconds, SECONDS_BOUNDS)

    def stored(self, batch: Batch, outcome: Outcome, seconds: float) -> None:
        """Count a batch that was stored, and how long that took."""
        counters = self.counters
        with self._lock:
            counters.stored += outcome.stored
            counters.quarantined += outcome.quarantined
            counters.known += outcome.known
            counters.test += batch.tests
            counters.refused += outcome.refused
            for row in batch.quarantined:
                counters.by_reason[row.reason] = counters.by_reason.get(row.reason, 0) + 1
            if outcome.refused:
                counters.by_reason["refused"] = counters.by_reason.get("refused", 0) + outcome.refused
            counters.attempts += outcome.attempts
            counters.commit.observe(seconds, SECONDS_BOUNDS)
            self.last_commit = time.time()
            if outcome.stored:
                self.last_row = self.last_commit
            self.newest_event = max([self.newest_event, *batch.newest_event.values()])

    def fenced(self) -> None:
        """Count a batch that was dropped because the positions had moved."""
        with self._lock:
            self.counters.fenced += 1

    def missing(self, offsets: int) -> None:
        """Count offsets that the broker no longer had."""
        with self._lock:
            self.counters.missing_offsets += offsets

    def native_fault(self, subject: str, message: str, hint: str) -> bool:
        """Count a batch on which the native module failed, and add a notice; return whether this is new."""
        with self._lock:
            self.counters.native_faults += 1
        return self.notice(subject, message, hint)

    def trouble(self, subject: str, message: str, hint: str = "") -> bool:
        """Record a trouble with a subject (``database``, ``kafka``, ``topic/0``); return whether it is new."""
        with self._lock:
            before = self.troubles.get(subject)
            note = _note(message, hint, before.since if before else None)
            self.troubles[subject] = note
            return before is None or before.message != note.message

    def clear(self, subject: str) -> bool:
        """Record that a trouble is over; return whether there was one."""
        with self._lock:
            return self.troubles.pop(subject, None) is not None

    def notice(self, subject: str, message: str, hint: str = "", *, since: float | None = None) -> bool:
        """Add a notice, which is kept for a day; return whether it is new.

        Args:
            since: when it happened, seconds since the epoch; None for now. Events older than a day are ignored.
        """
        now = time.time()
        moment = now if since is None else min(since, now)
        if now - moment > _NOTICE_S:
            return False
        with self._lock:
            before = self._notices.get(subject)
            note = _note(message, hint, iso(moment))
            if before is not None and before.message == note.message:
                return False
            self._notices[subject] = note
            return True

    def notices(self) -> dict[str, Note]:
        """Return the notices of the last day."""
        oldest = iso(time.time() - _NOTICE_S)
        with self._lock:
            self._notices = {subject: note for subject, note in self._notices.items() if note.since >= oldest}
            return dict(self._notices)

    def report(self, ends: Mapping[TopicPartition, int]) -> bytes:
        """Return the present state as one line of JSON (a :class:`Report`).

        Args:
            ends: the partitions' next offsets to be written, as far as known.
        """
        notices = self.notices()
        positions = self.positions
        with self._lock:
            self.counters.cpu_seconds = time.process_time()
            report = Report(
                self.counters,
                self.troubles,
                notices,
                [PartitionState(*part, offset, ends.get(part)) for part, offset in sorted(positions.items())],
                self.last_commit,
                self.last_row,
                self.newest_event,
                self.read_by,
            )
            return msgspec.json.encode(report) + b"\n"


def _note(message: str, hint: str, since: str | None) -> Note:
    return Note(message[:_TEXT_LENGTH], hint[:_TEXT_LENGTH], since or iso(time.time()))
