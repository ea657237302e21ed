"""What was seen of the consumer at one moment: its processes, its tables, and the topics that it reads."""

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
        newest_event: time of the latest stored event (UTC), None before the first one.
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
    """Lines in the quarantine of one reason; when the first and the last of them came (UTC)."""

    reason: str
    lines: int
    first: str
    last: str


class TableDays(msgspec.Struct, frozen=True, kw_only=True):
    """A table's days.

    Attributes:
        days_ahead: days after today that have a partition of their own; negative if not even today has one, None if
            there is none.
        beyond_rows: rows (as the server estimates them) in the catch-all partition for all later days.
    """

    table: str
    days_ahead: int | None
    beyond_rows: int


class StoreProbe(msgspec.Struct, frozen=True, kw_only=True):
    """The consumer's tables, asked as the reading user.

    Attributes:
        asked: false where they could not even be asked from here; ``failure`` says why.
        failure: why there is no answer, empty when there is one.
        hint: what can be done about the failure, where the server itself named its error.
        untrusted: as in :class:`~obsctl.checks.health.snapshot.DatabaseProbe`.
        rate: records a second by which the positions moved while they were looked at.
        quarantined_last_day: lines that went to quarantine in the last 24 hours.
        letters_due: refused lines whose copy has not reached the dead letter topic.
        losses: records that were deleted before they were stored; None where the tables do not say (before 0004).
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
    """A position as somebody else knows it, while the database does not answer.

    Attributes:
        known_by: ``consumer`` for its health page, ``group`` for what was committed to Kafka.
        age_s: how long ago it was the stored one (seconds); None where that is not known.
    """

    topic: str
    partition: int
    next_offset: int
    known_by: str
    age_s: int | None = None


class ConsumerSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The consumer at one moment; the positions were read before the topics' ends.

    Attributes:
        before: the topics about a second earlier, to see what stands still.
        last_known: the positions, where the database does not answer.
        acknowledged: what people have taken note of; read where there is something to be taken note of.
    """

    hosts: tuple[HostProbe, ...] = ()
    store: StoreProbe | None = None
    kafka: KafkaSnapshot | None = None
    before: KafkaSnapshot | None = None
    last_known: tuple[LastKnown, ...] = ()
    acknowledged: tuple[Acknowledgement, ...] = ()
    errors: tuple[Fault, ...] = ()
