"""The consumer at one moment: its processes, its tables, and the topics that it reads."""

from __future__ import annotations

import msgspec

from obsctl.checks.consumer.loss import StoredLoss
from obsctl.checks.health.snapshot import HostProbe
from obsctl.checks.kafka.snapshot import KafkaSnapshot
from obsctl.core.acknowledgement import Acknowledgement
from obsctl.core.report import Fault


class StoredSource(msgspec.Struct, frozen=True, kw_only=True):
    """A row of ``log_source``.

    Attributes:
        next_offset: the first offset that is not stored.
        newest_event: time of the latest stored event (UTC); None before the first one.
        event_age_s: how long ago that was, in seconds.
        moved_s: seconds since the last transaction.
    """

    source_id: int
    cluster_id: str
    topic: str
    partition: int
    topic_id: str
    next_offset: int
    newest_event: str | None
    event_age_s: int | None
    moved_s: int


class QuarantinedReason(msgspec.Struct, frozen=True, kw_only=True):
    """Lines in the quarantine with one reason; when the first and the last of them were put there (UTC)."""

    reason: str
    lines: int
    first: str
    last: str


class TableDays(msgspec.Struct, frozen=True, kw_only=True):
    """The day partitions of a table.

    Attributes:
        days_ahead: number of days after today with a partition of their own; negative if not even today has one, None
            if there is none.
        beyond_rows: rows (by the server's estimate) in the catch-all partition for all later days.
    """

    table: str
    days_ahead: int | None
    beyond_rows: int


class StoreProbe(msgspec.Struct, frozen=True, kw_only=True):
    """The consumer's tables, queried as the reading user.

    Attributes:
        asked: false if they could not be queried from here at all; ``failure`` says why.
        failure: why there is no answer; empty if there is one.
        hint: what to do about the failure, if the server itself reported an error.
        untrusted: as in :class:`~obsctl.checks.health.snapshot.DatabaseProbe`.
        rate: by how many records a second the positions advanced during the measurement.
        quarantined_last_day: lines put into quarantine within the last 24 hours.
        letters_due: refused lines whose copy is not in the dead letter topic yet.
        losses: records that were deleted before they were stored; None if the tables have no such column (before
            0004).
    """

    asked: bool = True
    failure: str = ""
    hint: str = ""
    untrusted: bool = False
    sources: tuple[StoredSource, ...] = ()
    rate: float | None = None
    quarantine: tuple[QuarantinedReason, ...] = ()
    quarantined_last_day: int | None = None
    letters_due: int | None = None
    tables: tuple[TableDays, ...] = ()
    losses: tuple[StoredLoss, ...] | None = None


class LastKnown(msgspec.Struct, frozen=True, kw_only=True):
    """A position from another source, while the database does not answer.

    Attributes:
        known_by: ``consumer`` for its health page, ``group`` for offsets committed to Kafka.
        age_s: how old it is (seconds); None if unknown.
    """

    topic: str
    partition: int
    next_offset: int
    known_by: str
    age_s: int | None = None


class ConsumerSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The consumer at one moment; the positions were read before the topics' ends.

    Attributes:
        before: the topics about a second earlier, to see what does not advance.
        last_known: the positions, if the database does not answer.
        acknowledged: people's acknowledgements; only read if a finding can be acknowledged.
    """

    hosts: tuple[HostProbe, ...] = ()
    store: StoreProbe | None = None
    kafka: KafkaSnapshot | None = None
    before: KafkaSnapshot | None = None
    last_known: tuple[LastKnown, ...] = ()
    acknowledged: tuple[Acknowledgement, ...] = ()
    errors: tuple[Fault, ...] = ()
