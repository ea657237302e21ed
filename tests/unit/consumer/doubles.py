"""What stands around the code under test: a Kafka client, the thread that stores, the topics' ends, a clock."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException

from obsctl.consumer.writer import Question, Result
from obsctl.kafka.partition import TopicPartition
from obsctl.kafka.topics import Cluster
from obsctl.store.batch import Batch
from tests.unit.consumer.messages import FakeMessage

PART = TopicPartition("nginxlog", 0)


def named(places: Collection[Any]) -> list[TopicPartition]:
    return [TopicPartition(place.topic, place.partition) for place in places]


class Clock:
    """The time of a module, in place of ``time``; moved by hand, and by sleeping."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return 1_767_225_600.0 + self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class FakeClient:
    """A Kafka client, as strict about assignments as the real one.

    Attributes:
        assigned: what it reads, and from where.
        low, high: between which offsets the broker has records.
        silent: partition numbers whose leader does not answer.
        batches: what the next calls of ``consume`` return; after the last one nothing comes.
    """

    def __init__(self) -> None:
        self.assigned: dict[TopicPartition, int] = {}
        self.paused: set[TopicPartition] = set()
        self.low, self.high = 0, 100
        self.silent: set[int] = set()
        self.batches: list[list[FakeMessage] | BaseException] = []
        self.group_offsets: dict[TopicPartition, int] = {}
        self.calls: list[str] = []
        self.seeks: list[tuple[TopicPartition, int]] = []
        self.refuses_seeks = False
        self.committed_to_group: list[dict[TopicPartition, int]] = []
        self.subscription: dict[str, Any] = {}
        self.closed = False

    def incremental_assign(self, places: Sequence[Any]) -> None:
        for part in named(places):
            if part in self.assigned:
                raise KafkaException(KafkaError(KafkaError._CONFLICT))
        self.calls.append("assign")
        self.assigned |= {part: place.offset for part, place in zip(named(places), places, strict=True)}

    def incremental_unassign(self, places: Sequence[Any]) -> None:
        for part in named(places):
            if part not in self.assigned:
                raise KafkaException(KafkaError(KafkaError._INVALID_ARG))
        self.calls.append("unassign")
        for part in named(places):
            # Librdkafka keeps the pause of what is taken away (tests/integration/test_reading_on.py).
            del self.assigned[part]

    def assignment(self) -> list[confluent_kafka.TopicPartition]:
        return [confluent_kafka.TopicPartition(*part) for part in self.assigned]

    def pause(self, places: Sequence[Any]) -> None:
        self.paused |= set(named(places))

    def resume(self, places: Sequence[Any]) -> None:
        self.paused -= set(named(places))

    def seek(self, place: Any) -> None:
        if self.refuses_seeks:
            raise KafkaException(KafkaError(KafkaError._STATE))
        self.seeks.append((TopicPartition(place.topic, place.partition), place.offset))

    def get_watermark_offsets(self, place: Any, timeout: float) -> tuple[int, int]:
        if place.partition in self.silent:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        return self.low, self.high

    def committed(self, places: Sequence[Any], timeout: float) -> list[confluent_kafka.TopicPartition]:
        return [confluent_kafka.TopicPartition(*p, self.group_offsets.get(p, -1001)) for p in named(places)]

    def commit(self, *, offsets: Sequence[Any], asynchronous: bool) -> None:
        self.calls.append("commit" if asynchronous else "commit and wait")
        self.committed_to_group.append(
            {part: place.offset for part, place in zip(named(offsets), offsets, strict=True)}
        )

    def subscribe(self, topics: list[str], **callbacks: Any) -> None:
        self.subscription = {"topics": topics, **callbacks}

    def consume(self, count: int, timeout: float) -> list[FakeMessage]:
        batch = self.batches.pop(0) if self.batches else []
        if isinstance(batch, BaseException):
            raise batch
        return batch

    def close(self) -> None:
        self.closed = True


class FakeWriter:
    """Takes batches and questions, and returns the results that a test has laid ready."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.questions: list[Question] = []
        self.ready: list[Result] = []
        self.room = True
        self.busy = 0.0
        self.drained: list[float] = []

    def has_room(self, timeout: float) -> bool:
        return self.room

    def give(self, batch: Batch) -> None:
        self.batches.append(batch)

    def ask(self, question: Question) -> None:
        self.questions.append(question)

    def busy_seconds(self) -> float:
        return self.busy

    def results(self) -> list[Result]:
        ready, self.ready = self.ready, []
        return ready

    def drain(self, timeout: float) -> bool:
        self.drained.append(timeout)
        return True


class FakeEnds:
    """Knows ends and topic ids; asked who the cluster is, it answers or raises."""

    def __init__(self) -> None:
        self.ends: dict[TopicPartition, int] = {}
        self.topic_ids: dict[str, str] = {"nginxlog": "id"}
        #: Of each topic.
        self.partitions = 6
        self.failure: KafkaException | None = None

    def of(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        return {part: end for part, end in self.ends.items() if part in partitions}

    def identify(self, names: Collection[str]) -> Cluster:
        if self.failure is not None:
            raise self.failure
        topic_ids = {name: self.topic_ids[name] for name in names if name in self.topic_ids}
        return Cluster("cluster", topic_ids, dict.fromkeys(topic_ids, range(self.partitions)))

    @property
    def existing(self) -> set[TopicPartition]:
        return {TopicPartition(name, number) for name in self.topic_ids for number in range(self.partitions)}
