"""Kafka records made by hand."""

from __future__ import annotations

from obsctl.kafka.partition import TopicPartition
from obsctl.store.batch import Run


def run_of(*values: bytes | None, first: int = 0, topic: str = "nginxlog", partition: int = 0) -> Run:
    """Return values as consecutive records of a partition."""
    return Run(TopicPartition(topic, partition), first, list(values))


class FakeMessage:
    """What the intake needs of a record."""

    def __init__(self, offset: int, value: bytes | None, topic: str = "nginxlog", partition: int = 0) -> None:
        self.place = TopicPartition(topic, partition)
        self._offset, self._value = offset, value

    def topic(self) -> str:
        return self.place.topic

    def partition(self) -> int:
        return self.place.partition

    def offset(self) -> int:
        return self._offset

    def value(self) -> bytes | None:
        return self._value

    def error(self) -> None:
        return None

    def __len__(self) -> int:
        return len(self._value or b"")
