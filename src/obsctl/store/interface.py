"""The interface of a store. There is one implementation, ``mysql``; the pipeline depends only on this module."""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
from typing import NamedTuple, Protocol

import msgspec

from obsctl.kafka.partition import TopicPartition
from obsctl.store.batch import Batch


class Origin(enum.Enum):
    """What the store knows about a partition.

    ``READ``: its position. For a partition whose first line has not been read, ``NEW``: nothing; ``REMADE``: the same
    partition of a topic of that name with another id, which was deleted; ``OTHER_CLUSTER``: the topic in another
    cluster only.
    """

    READ = enum.auto()
    NEW = enum.auto()
    REMADE = enum.auto()
    OTHER_CLUSTER = enum.auto()


class Position(NamedTuple):
    """Where reading of a partition resumes.

    Attributes:
        source_id: the store's id of this partition of this topic of this cluster.
        next_offset: the first offset that is not stored.
        origin: what the store knew about it.
        known_at: when the store first saw this partition of this topic, seconds since the epoch; None if unknown.
    """

    source_id: int
    next_offset: int
    origin: Origin = Origin.READ
    known_at: float | None = None


class Outcome(msgspec.Struct, frozen=True):
    """The result of storing a batch (numbers of records).

    Attributes:
        stored: new rows of the log tables.
        quarantined: new rows of the quarantine.
        known: records whose identity was stored before, or occurred twice in the batch.
        refused: of the quarantined ones, those that the store's own checks refused.
        attempts: number of transactions, including the successful one.
    """

    stored: int
    quarantined: int
    known: int
    refused: int
    attempts: int


class DeadLetter(msgspec.Struct, frozen=True):
    """A refused record, a copy of which must go to the dead letter topic."""

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
    """The store cannot be used at the moment; the operation had no effect, or this is unknown. Retry.

    Attributes:
        hint: what to do, or an empty string.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class FencedError(Exception):
    """The store's positions differ from those that the batch starts from: another process has moved them. Nothing was
    stored; read the positions again."""


class Store(Protocol):
    """Stores each line once. Every method may raise StoreUnavailableError. A store must be used by one thread only."""

    def positions(self, cluster_id: str, topic_ids: Mapping[TopicPartition, str]) -> Mapping[TopicPartition, Position]:
        """Return where reading of each partition resumes; one that the store has never seen begins at offset 0.

        Args:
            topic_ids: Kafka's id of each partition's topic; one created again under an old name has another.
        """

    def commit(self, batch: Batch) -> Outcome:
        """Store a batch in one transaction: its rows, their roll-ups, its quarantine and its steps.

        Raises:
            FencedError: a step's expected position differs from the store's.
        """

    def dead_letters(self, limit: int) -> list[DeadLetter]:
        """Return refused records whose copy has not been sent, the oldest first."""

    def settle_dead_letters(self, letters: Collection[DeadLetter]) -> None:
        """Record that the copies were accepted."""

    def upkeep(self) -> Upkeep:
        """Create partitions for the coming days, and drop what is older than the retention. Can be repeated."""

    def close(self) -> None:
        """Close the connection. Never raises."""


class Upkeep(msgspec.Struct, frozen=True):
    """What the upkeep found.

    Attributes:
        done: False if another process is doing the upkeep.
        ready: whether there are partitions for today's rows.
        busy: tables that a reader has locked; their changes must wait.
        changes: partitions created or dropped.
        beyond: rows in the catch-all partitions for the future, by table: a clock is wrong, or the upkeep has failed.
    """

    done: bool
    ready: bool
    changes: tuple[str, ...] = ()
    busy: tuple[str, ...] = ()
    beyond: dict[str, int] = {}
