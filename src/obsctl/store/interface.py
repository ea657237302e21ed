"""What the pipeline asks of a store. One exists, ``mysql``; the pipeline knows this page alone."""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
from typing import NamedTuple, Protocol

import msgspec

from obsctl.kafka.partition import TopicPartition
from obsctl.store.batch import Batch


class Origin(enum.Enum):
    """What the store knows of a partition.

    ``READ``: where it goes on. Of one whose first line has not been read, ``NEW``: nothing; ``REMADE``: the same
    partition of a topic of that name with another id, which was deleted; ``OTHER_CLUSTER``: the topic in another
    cluster only.
    """

    READ = enum.auto()
    NEW = enum.auto()
    REMADE = enum.auto()
    OTHER_CLUSTER = enum.auto()


class Position(NamedTuple):
    """Where a partition is read on.

    Attributes:
        source_id: the store's name for this partition of this topic of this cluster.
        next_offset: the first offset that is not stored.
        origin: what was known of it.
        known_at: when the store came to know this partition of this topic, seconds since the epoch; None if unknown.
    """

    source_id: int
    next_offset: int
    origin: Origin = Origin.READ
    known_at: float | None = None


class Outcome(msgspec.Struct, frozen=True):
    """What storing a batch came to (counts of records).

    Attributes:
        stored: new rows of the log tables.
        quarantined: new rows of the quarantine.
        known: records whose identity was stored before, or occurred twice in the batch.
        refused: of the quarantined ones, those that the store's own checks refused.
        attempts: transactions made, the successful one included.
    """

    stored: int
    quarantined: int
    known: int
    refused: int
    attempts: int


class DeadLetter(msgspec.Struct, frozen=True):
    """A refused record of which the dead letter topic shall hold a copy."""

    line_id: bytes
    topic: str
    partition: int
    offset: int
    log_format: str
    host: str
    reason: str
    detail: str
    value: bytes | None


class StoreUnavailableError(Exception):
    """The store cannot be used at the moment; nothing of what was asked happened, or it is not known. Try again.

    Attributes:
        hint: what a person can do, or an empty string.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class FencedError(Exception):
    """The store's positions are not those that the batch starts from: another process has moved them. Nothing was
    stored; read the positions again."""


class Store(Protocol):
    """Keeps lines, each once. Every method may raise StoreUnavailableError. One thread uses one store."""

    def positions(self, cluster_id: str, topic_ids: Mapping[TopicPartition, str]) -> Mapping[TopicPartition, Position]:
        """Return where each partition is read on; one that the store has never seen begins at offset 0.

        Args:
            topic_ids: Kafka's id of each partition's topic; one created again under an old name has another.
        """

    def commit(self, batch: Batch) -> Outcome:
        """Store a batch in one transaction: its rows, their roll-ups, its quarantine and its steps.

        Raises:
            FencedError: a step's expected offset is not the store's.
        """

    def dead_letters(self, limit: int) -> list[DeadLetter]:
        """Return refused records whose copy is still due, the oldest first."""

    def settle_dead_letters(self, letters: Collection[DeadLetter]) -> None:
        """Note that the copies have been accepted."""

    def upkeep(self) -> Upkeep:
        """Create partitions for the days to come, and drop what is older than the retention. Repeatable at any time."""

    def close(self) -> None:
        """Close the connection. Never raises."""


class Upkeep(msgspec.Struct, frozen=True):
    """What the upkeep found.

    Attributes:
        done: False if another process was at it.
        ready: whether today's rows have partitions to go to.
        busy: tables that a reader holds; their changes have to wait.
        changes: partitions made or dropped.
        beyond: rows in the catch-all partitions for the future, by table: a clock is wrong, or the upkeep has failed.
    """

    done: bool
    ready: bool
    changes: tuple[str, ...] = ()
    busy: tuple[str, ...] = ()
    beyond: dict[str, int] = {}
