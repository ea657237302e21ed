"""Our partitions: which are read, how far each is given to the writer and stored, and which wait for a position.

The group says which partitions are ours; the client is given one only with the offset at which it begins. So the two
are the same at all times: what has a position here is assigned to the client, and what waits is not.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import NamedTuple

import confluent_kafka

from obsctl.kafka.partition import TopicPartition
from obsctl.store.batch import Source


class Gap(NamedTuple):
    """Offsets that did not arrive: the one expected and the one that came."""

    expected: int
    came: int


class Progress:
    """What one client's partitions have come to. The reader's thread alone uses it.

    Attributes:
        next: our partitions that are read: the next offset to give to the writer.
        sources: the same ones as the store knows them.
        stored: the next offset that is not stored, as far as we know.
        waiting: our partitions that have no position yet, and since when (monotonic seconds).
        absent: those that the group assigned to us and that do not exist: their topic was created again with fewer.
        to_commit: stored offsets that are not committed to the group yet.
        gaps: the last gap seen in a partition.
        last_seen: when a partition was seen first at its present offset (offset, monotonic seconds).
        ask_again_at: when positions may be asked for again (monotonic seconds).
        paused: whether we have paused the reading of all of them.
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
        """Note new partitions of ours; their positions may be asked for at once."""
        self.waiting |= dict.fromkeys(parts, time.monotonic())
        self.ask_again_at = 0.0

    def positions(self) -> dict[TopicPartition, int | None]:
        """Return for each partition of ours the first offset that is not stored, None while it is not known."""
        return {part: self.stored.get(part) for part in (*self.next, *self.waiting)}

    def read_from(
        self, consumer: confluent_kafka.Consumer, part: TopicPartition, offset: int, source: Source, stored: int
    ) -> None:
        """Begin to read a partition that waits.

        Args:
            offset: where; the broker must have it.
            source: the partition as the store knows it.
            stored: the first offset that is not stored.

        Raises:
            KafkaException: the client does not take it; the partition still waits.
        """
        place = confluent_kafka.TopicPartition(part.topic, part.partition, offset)
        consumer.incremental_assign([place])
        # The client remembers that a partition was paused when it was taken away, so it has to be resumed as well.
        (consumer.pause if self.paused else consumer.resume)([place])
        self.next[part] = offset
        self.stored[part] = stored
        self.sources[part] = source
        del self.waiting[part]

    def await_positions(self, consumer: confluent_kafka.Consumer, parts: Collection[TopicPartition]) -> None:
        """Take partitions back to the state of those just assigned: not read until the store says where they go on."""
        self._stop_reading(consumer, parts)
        self.waiting |= dict.fromkeys(parts, time.monotonic())

    def set_aside(self, parts: Collection[TopicPartition]) -> None:
        """Wait no longer for partitions that do not exist.

        The client's assignor leaves a partition that its topic no longer has with the member that held it, for ever.
        """
        for part in parts:
            del self.waiting[part]
            self.stored.pop(part, None)
        self.absent.update(parts)

    def take_back(self, parts: Collection[TopicPartition]) -> None:
        """Wait for partitions that were set aside and exist now."""
        self.absent.difference_update(parts)
        self.assigned(parts)

    def release(self, consumer: confluent_kafka.Consumer, parts: Collection[TopicPartition]) -> None:
        """Forget partitions that are no longer ours. The client takes this for our consent, also without any."""
        self._stop_reading(consumer, parts)
        for part in parts:
            self.waiting.pop(part, None)
            self.absent.discard(part)
            self.stored.pop(part, None)
            self.to_commit.pop(part, None)

    def pause_all(self, consumer: confluent_kafka.Consumer) -> None:
        """Stop reading whatever we have."""
        if not self.paused:
            consumer.pause(consumer.assignment())
            self.paused = True

    def resume_all(self, consumer: confluent_kafka.Consumer) -> None:
        """Go on with the partitions that have a position."""
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
