"""Our partitions: which are read, how far each was given to the writer and stored, and which wait for a position.

The group decides which partitions are ours; a partition is only assigned to the client together with its first offset.
So both always agree: partitions with a position here are assigned to the client, and waiting ones are not.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import NamedTuple

import confluent_kafka

from obsctl.kafka.partition import TopicPartition
from obsctl.store.batch import Source


class Gap(NamedTuple):
    """Missing offsets: the expected one and the one that arrived."""

    expected: int
    came: int


class Progress:
    """Progress of one client's partitions. Used only by the reader's thread.

    Attributes:
        next: the partitions that are read, with the next offset to give to the writer.
        sources: the same partitions, with their ids in the store.
        stored: the first offset that is not stored, as far as we know.
        waiting: our partitions that have no position yet, and since when (monotonic seconds).
        absent: partitions that the group assigned to us but that do not exist: their topic was created again with
            fewer.
        to_commit: stored offsets that are not committed to the group yet.
        gaps: the last gap seen in a partition.
        last_seen: when a partition was first seen at its present offset (offset, monotonic seconds).
        ask_again_at: when positions may be queried again (monotonic seconds).
        paused: whether reading of all partitions is paused.
    """

    def __init__(self) -> None:
        self.next: dict[TopicPartition, int] = {}
        self.sources: dict[TopicPartition, Source] = {}
        self.stored: dict[TopicPartition, int] = {}
        self.waiting: dict[TopicPartition, float] = {}
        self.absent: set[TopicPartition] = set()
        self.to_commit: dict[TopicPartition, int] = {}
        self.gaps: dict[TopicPartition, Gap] = {}
        self.last_seen: dict[TopicPartition, tuple[int, float]] = {}
        self.ask_again_at = 0.0
        self.paused = False

    def assigned(self, parts: Collection[TopicPartition]) -> None:
        """Record newly assigned partitions; their positions may be queried at once."""
        self.waiting |= dict.fromkeys(parts, time.monotonic())
        self.ask_again_at = 0.0

    def positions(self) -> dict[TopicPartition, int | None]:
        """Return the first offset that is not stored for each of our partitions; None while unknown."""
        return {part: self.stored.get(part) for part in (*self.next, *self.waiting)}

    def read_from(
        self, consumer: confluent_kafka.Consumer, part: TopicPartition, offset: int, source: Source, stored: int
    ) -> None:
        """Start reading a waiting partition.

        Args:
            offset: where to start; the broker must have it.
            source: the partition's id in the store.
            stored: the first offset that is not stored.

        Raises:
            KafkaException: the client refuses; the partition still waits.
        """
        place = confluent_kafka.TopicPartition(part.topic, part.partition, offset)
        consumer.incremental_assign([place])
        # If a partition was paused when it was removed, the client still remembers that, so it must be resumed as
        # well.
        (consumer.pause if self.paused else consumer.resume)([place])
        self.next[part] = offset
        self.stored[part] = stored
        self.sources[part] = source
        del self.waiting[part]

    def await_positions(self, consumer: confluent_kafka.Consumer, parts: Collection[TopicPartition]) -> None:
        """Return partitions to the state of newly assigned ones: not read until the store says where to resume."""
        self._stop_reading(consumer, parts)
        self.waiting |= dict.fromkeys(parts, time.monotonic())

    def set_aside(self, parts: Collection[TopicPartition]) -> None:
        """Stop waiting for partitions that do not exist.

        The client's assignor never takes a partition that no longer exists away from its member.
        """
        for part in parts:
            del self.waiting[part]
            self.stored.pop(part, None)
        self.absent.update(parts)

    def take_back(self, parts: Collection[TopicPartition]) -> None:
        """Wait again for partitions that were set aside and now exist."""
        self.absent.difference_update(parts)
        self.assigned(parts)

    def release(self, consumer: confluent_kafka.Consumer, parts: Collection[TopicPartition]) -> None:
        """Forget revoked partitions. The client takes this call as our consent, even if there are none."""
        self._stop_reading(consumer, parts)
        for part in parts:
            self.waiting.pop(part, None)
            self.absent.discard(part)
            self.stored.pop(part, None)
            self.to_commit.pop(part, None)

    def pause_all(self, consumer: confluent_kafka.Consumer) -> None:
        """Pause reading of all partitions."""
        if not self.paused:
            consumer.pause(consumer.assignment())
            self.paused = True

    def resume_all(self, consumer: confluent_kafka.Consumer) -> None:
        """Resume the partitions that have a position."""
        if self.paused:
            self.paused = False
            consumer.resume([confluent_kafka.TopicPartition(*part) for part in self.next])

    def _stop_reading(self, consumer: confluent_kafka.Consumer, parts: Collection[TopicPartition]) -> None:
        consumer.incremental_unassign([confluent_kafka.TopicPartition(*part) for part in parts if part in self.next])
        for part in parts:
            self.next.pop(part, None)
            self.sources.pop(part, None)
            self.gaps.pop(part, None)
            self.last_seen.pop(part, None)


def names(parts: Collection[TopicPartition]) -> list[str]:
    """Return the partitions' names for the journal, sorted."""
    return sorted(map(str, parts))
