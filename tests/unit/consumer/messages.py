"""Kafka records made by hand."""

from __future__ import annotations

from confluent_kafka import KafkaError

from obsctl.kafka.partition import TopicPartition
from obsctl.store.batch import Run


def run_of(*values: bytes | None, first: int = 0, topic: str = "nginxlog", partition: int = 0) -> Run:
    """Return values as consecutive records of a partition."""
    return Run(TopicPartition(topic, partition), first, list(values))


class FakeMessage:
    """A record as the client returns it."""

    def __init__(self, offset: int, value: bytes | None, topic: str = "nginxlog", partition: int = 0) -> None:
        self.place = TopicPartition(topic, partition)
        self._offset, self._value = offset, value

    def topic(self) -> str:
        return self.place.topic

    def partition(self) -> int:
        return self.place.partition

    def offset(self) -> int:
        return self._offset

    def key(self) -> bytes | None:
        return None

    def value(self) -> bytes | None:
        return self._value

    def error(self) -> KafkaError | None:
        return None

    def __len__(self) -> int:
        return len(self._value or b"")


class FakeError(FakeMessage):
    """What the client returns in a record's place."""

    def __init__(self, code: int, partition: int = 0, *, fatal: bool = False) -> None:
        super().__init__(-1, None, partition=partition)
        self._error = KafkaError(code, "the client's words", fatal)

    def error(self) -> KafkaError:
        return self._error
