"""Our partitions: which have a position, how far each is given to the writer and stored, and which wait."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
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
        next: our partitions that have a position: the next offset to give to the writer.
        sources: the same ones as the store knows them.
        stored: the next offset that is not stored, as far as we know.
        waiting: our partitions that have no position yet, and since when (monotonic seconds).
        to_commit: stored offsets of which the group has not been told.
        gaps: the last gap seen in a partition.
        last_seen: when a partition was seen first at its present offset (offset, monotonic seconds).
        ask_again_at: when positions may be asked for again (monotonic seconds).
        paused: whether the reading of all of them is held up by ourselves.
    """

    def __init__(self) -> None:
        self.next: dict[TopicPartition, int] = {}
        self.sources: dict[TopicPartition, Source] = {}
        self.stored: dict[TopicPartition, int] = {}
        self.waiting: dict[TopicPartition, float] = {}
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
        """Return for each partition of ours the first offset that is not stored, or None while nobody has told."""
        return {part: self.stored.get(part) for part in (*self.next, *self.waiting)}

    def let_wait(self, consumer: confluent_kafka.Consumer, parts: Collection[TopicPartition]) -> None:
        """Take partitions back to the state of those just assigned: paused, until the store says where they go on."""
        consumer.pause([confluent_kafka.TopicPartition(*part) for part in parts])
        for part in parts:
            self._forget(part)
            self.waiting[part] = time.monotonic()

    def let_go(self, part: TopicPartition) -> None:
        """Forget a partition that is no longer ours."""
        self._forget(part)
        self.waiting.pop(part, None)
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

    def _forget(self, part: TopicPartition) -> None:
        """Forget where a partition goes on."""
        self.next.pop(part, None)
        self.sources.pop(part, None)
        self.gaps.pop(part, None)
        self.last_seen.pop(part, None)


def names(parts: Sequence[confluent_kafka.TopicPartition] | Sequence[TopicPartition]) -> list[str]:
    """Return the partitions' names for the journal, sorted."""
    return sorted(f"{p.topic}/{p.partition}" for p in parts)
