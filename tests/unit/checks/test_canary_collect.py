"""The canary's flight is over before its clients are closed, however it ends."""

from __future__ import annotations

import threading

import pytest

from obsctl.checks.canary import collect


class Consumer:
    """A client like that of Kafka's library: closing waits for threads that still read, and never gives up."""

    def __init__(self) -> None:
        self.reading = threading.Event()
        self.closed_while_read = False
        self.reader: threading.Thread | None = None

    def get_watermark_offsets(self, _place: object, timeout: float) -> tuple[int, int]:
        return 0, 0

    def assign(self, _places: object) -> None:
        pass

    def consume(self, _most: int, _timeout: float) -> list[object]:
        self.reader = threading.current_thread()
        self.reading.set()
        return []

    def close(self) -> None:
        self.closed_while_read = self.reader is not None and self.reader.is_alive()


class Producer:
    def __init__(self, consumer: Consumer) -> None:
        self.consumer = consumer

    def list_topics(self, _topic: str, timeout: float) -> None:
        pass

    def produce(self, *_: object, **__: object) -> None:
        self.consumer.reading.wait(10)
        raise KeyboardInterrupt


def test_an_interruption_ends_the_reading_before_the_client_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    consumer = Consumer()
    monkeypatch.setattr(collect, "_clients", lambda _brokers: (Producer(consumer), consumer))
    with pytest.raises(KeyboardInterrupt):
        collect._fly(["127.0.0.1:9092"], "canary", {0: collect._Flying(1)}, 5)
    assert consumer.reading.is_set()
    assert not consumer.closed_while_read
