"""Kafka records made by hand."""

from __future__ import annotations

from obsctl.pipeline.batch import TopicPartition


class FakeMessage:
    """What the pipeline needs of a record."""

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
