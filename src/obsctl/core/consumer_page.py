"""The consumer's ``/health`` as data: what the daemon writes and what the checks read.

The two may be of different releases. So every field has a default, which means "unknown", and unknown fields are
ignored; the type or meaning of a field never changes, instead a new field is added.
"""

from __future__ import annotations

import msgspec


class Note(msgspec.Struct, frozen=True):
    """A trouble or a notice: what it is, what to do, and since when (ISO 8601)."""

    message: str = ""
    hint: str = ""
    since: str = ""


class LineCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers of records by result, since the unit's start."""

    stored: int | None = None
    quarantined: int | None = None
    known: int | None = None
    test: int | None = None


class PartitionOnPage(msgspec.Struct, frozen=True, kw_only=True):
    """A partition that one of the workers reads; None for unknown values.

    Attributes:
        lag: records that are not stored yet.
        next_offset: the first offset that is not stored.
        end: the next offset to be written.
        worker: the number of the worker that reads it.
    """

    topic: str = ""
    partition: int = 0
    lag: int | None = None
    next_offset: int | None = None
    end: int | None = None
    worker: int | None = None


class WorkerOnPage(msgspec.Struct, frozen=True, kw_only=True):
    """A worker process.

    Attributes:
        state: ``starting``, ``running``, ``silent`` or ``restarting``.
        pid: None while there is no process.
        restarts: how often it was started again.
        stuck_restarts: how many of these because it was silent or stored nothing.
        read_by: what reads its records, for people: the native module, or Python and why.
        partitions: as ``TOPIC/PARTITION``.
    """

    worker: int | None = None
    state: str = ""
    pid: int | None = None
    restarts: int | None = None
    stuck_restarts: int | None = None
    read_by: str = ""
    partitions: tuple[str, ...] = ()


class ConsumerPage(msgspec.Struct, frozen=True, kw_only=True):
    """The body of ``/health``. Times are ISO 8601 in UTC; None is not known, or not yet.

    Attributes:
        status: ``ok``, or ``waiting`` while there is a trouble.
        troubles: what is in the way, by subject (``database``, ``kafka``, ``nginxlog/0``, ``worker 1``).
        notices: what a person should know and the consumer does not wait for, by subject; kept for a day.
        lines_per_second: records that went through lately.
        quarantined_by_reason: records sent to the quarantine.
        batches: batches stored.
        fenced: batches dropped because another process had moved their positions.
        missing_offsets: offsets that the broker deleted before they were read.
        native: records that the native module read.
        native_faults: batches that were read in Python because the module failed.
        dead_letters: copies of refused records that the dead letter topic accepted.
        dead_letter_topic: its name.
        newest_event: the latest event time stored.
        beyond: rows in the catch-all partition for the future, by table.
    """

    status: str = ""
    started_at: str | None = None
    troubles: dict[str, Note] = {}
    notices: dict[str, Note] = {}
    lines: LineCounts = LineCounts()
    lines_per_second: float | None = None
    quarantined_by_reason: dict[str, int] = {}
    batches: int | None = None
    fenced: int | None = None
    missing_offsets: int | None = None
    native: int | None = None
    native_faults: int | None = None
    dead_letters: int | None = None
    dead_letter_topic: str | None = None
    last_commit_at: str | None = None
    last_row_at: str | None = None
    newest_event: str | None = None
    beyond: dict[str, int] = {}
    partitions: tuple[PartitionOnPage, ...] = ()
    workers: tuple[WorkerOnPage, ...] = ()
