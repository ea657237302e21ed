"""A copy that no broker accepts does not block the copies behind it."""

from __future__ import annotations

import threading
import time

import confluent_kafka

from obsctl.consumer.config import Kafka, Topics
from obsctl.consumer.housekeeping import Housekeeping
from obsctl.consumer.telemetry import Telemetry
from obsctl.store.interface import DeadLetter, Upkeep
from rig.kafka import KafkaNode


class _Ledger:
    """The store's side of the dead letters, kept in memory."""

    def __init__(self, letters: list[DeadLetter]) -> None:
        self.due = letters
        self.empty = threading.Event()

    def dead_letters(self, limit: int) -> list[DeadLetter]:
        return self.due[:limit]

    def settle_dead_letters(self, letters: list[DeadLetter]) -> None:
        self.due = [letter for letter in self.due if letter not in letters]
        if not self.due:
            self.empty.set()

    def upkeep(self) -> Upkeep:
        return Upkeep(done=True, ready=True)

    def close(self) -> None:
        """Nothing to close."""


def _letter(number: int, value: bytes) -> DeadLetter:
    return DeadLetter(bytes([number]) * 16, "nginxlog", 0, number, "json", "node1", "refused", "too long", value)


def test_a_letter_above_the_brokers_limit_goes_without_its_value(kafka: KafkaNode) -> None:
    kafka.create_topic("letters-dlq", 1)
    ledger = _Ledger([_letter(1, b"x" * 2_000_000), _letter(2, b"small")])
    settings = Kafka(bootstrap=(kafka.bootstrap,), group="g", topics=Topics(access="a", error="e", dlq="letters-dlq"))
    housekeeping = Housekeeping(ledger, settings, Telemetry())  # type: ignore[arg-type]
    housekeeping.start()
    housekeeping.letters_due()
    try:
        assert ledger.empty.wait(60), f"{len(ledger.due)} letters are still due"
    finally:
        housekeeping.stop(10)
    consumer = confluent_kafka.Consumer(
        {"bootstrap.servers": kafka.bootstrap, "group.id": "letters", "auto.offset.reset": "earliest"}
    )
    consumer.subscribe(["letters-dlq"])
    copies: dict[str, confluent_kafka.Message] = {}
    deadline = time.monotonic() + 60
    while len(copies) < 2 and time.monotonic() < deadline:
        message = consumer.poll(1.0)
        if message is not None and message.error() is None:
            copies[message.key().decode()] = message
    consumer.close()
    large, small = copies["01" * 16], copies["02" * 16]
    assert small.value() == b"small"
    assert large.value() is None
    assert ("obs.value_omitted", b"too large") in large.headers()
