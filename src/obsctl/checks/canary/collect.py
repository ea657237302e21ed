"""Writes records to each partition of the canary topic, as Filebeat writes lines (acks=all), and reads them back."""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from obsctl.checks.canary.snapshot import CanarySnapshot, Flight
from obsctl.fleet.model import Fleet

#: Default number of records for each partition.
COUNT = 20
#: Time between two records to the same partition (seconds): so each is a separate request and does not wait for
#: another.
_PAUSE_S = 0.05
#: After this time a record that is not acknowledged counts as refused, and one that was not read back as lost
#: (seconds).
DEADLINE_S = 5.0
_TIMEOUT_S = 5.0
_CLIENT_ID = "obsctl-canary"


@dataclass
class _Flying:
    """The records of one partition that are in flight, by number."""

    leader: int | None
    sent: dict[int, float] = field(default_factory=dict)
    acknowledged: dict[int, float] = field(default_factory=dict)
    returned: dict[int, float] = field(default_factory=dict)
    refusals: Counter[str] = field(default_factory=Counter)
    denied: str = ""

    @property
    def over(self) -> bool:
        """Whether all results are known."""
        return len(self.acknowledged) + self.refusals.total() == len(self.sent) and (
            self.acknowledged.keys() <= self.returned.keys()
        )


def collect_canary(fleet: Fleet, *, count: int = COUNT, dry_run: bool = False) -> CanarySnapshot:
    """Run the canary.

    Args:
        count: records to each partition.
        dry_run: only find out where records would be written.
    """
    from confluent_kafka import KafkaException

    from obsctl.kafka import clients, topic_log

    topic, brokers = fleet.kafka.canary_topic, fleet.brokers()
    if not brokers or not topic:
        why = "names no broker" if not brokers else "names no canary topic (fleet_topics.canary)"
        return CanarySnapshot(topic=topic, dry_run=dry_run, failure=f"the inventory {why}")
    shut: list[str] = []

    def _hear(error: Any) -> None:
        if clients.is_shut_out(error):
            shut.append(error.str())

    asking = clients.admin(brokers, _CLIENT_ID, _hear)
    try:
        found = asking.list_topics(topic, timeout=_TIMEOUT_S).topics[topic]
    except KafkaException as error:
        asking.poll(0)
        why = shut[0] if shut else error.args[0].str()
        return CanarySnapshot(topic=topic, dry_run=dry_run, failure=why, shut_out=bool(shut))
    if found.error is not None:
        return CanarySnapshot(
            topic=topic,
            dry_run=dry_run,
            missing=found.error.code() in topic_log.MISSING,
            denied=found.error.code() in topic_log.DENIED,
            failure=found.error.str(),
        )
    flying = {
        number: _Flying(partition.leader if partition.leader >= 0 else None)
        for number, partition in found.partitions.items()
    }
    if not dry_run:
        try:
            _fly(brokers, topic, {number: one for number, one in flying.items() if one.leader is not None}, count)
        except KafkaException as error:
            return CanarySnapshot(topic=topic, failure=error.args[0].str())
        if denied := next((one.denied for one in flying.values() if one.denied), ""):
            return CanarySnapshot(topic=topic, denied=True, failure=denied)
    return CanarySnapshot(
        topic=topic,
        dry_run=dry_run,
        flights=tuple(_landed(number, flying[number]) for number in sorted(flying)),
    )


def _landed(number: int, one: _Flying) -> Flight:
    return Flight(
        partition=number,
        leader=one.leader,
        sent=len(one.sent),
        acknowledged_ms=_took(one.sent, one.acknowledged),
        returned_ms=_took(one.sent, one.returned),
        refusals=dict(one.refusals),
    )


def _took(sent: Mapping[int, float], done: Mapping[int, float]) -> tuple[float, ...]:
    return tuple(round((done[at] - sent[at]) * 1000, 3) for at in sorted(done))


def _clients(brokers: Sequence[str]) -> tuple[Any, Any]:
    """Return the producer that writes the records, and the consumer that reads them back."""
    import confluent_kafka

    from obsctl.kafka import clients

    shared = clients.settings(brokers, _CLIENT_ID) | {"allow.auto.create.topics": False, "log_level": 0}
    producer = confluent_kafka.Producer(
        shared | {"acks": "all", "linger.ms": 0, "message.timeout.ms": int(DEADLINE_S * 1000)}
    )
    consumer = confluent_kafka.Consumer(
        shared
        | {
            # The library requires a group name; no member ever joins it, and nothing is committed.
            "group.id": _CLIENT_ID,
            "enable.auto.commit": False,
            "auto.offset.reset": "latest",
            "fetch.wait.max.ms": 50,
        }
    )
    return producer, consumer


def _fly(brokers: Sequence[str], topic: str, flying: Mapping[int, _Flying], count: int) -> None:
    """Write the records and read them back; returns when all were read back, or at the deadline."""
    import confluent_kafka

    flight = uuid.uuid4().hex
    producer, consumer = _clients(brokers)
    done = threading.Event()
    reader = threading.Thread(target=_read_back, args=(consumer, flight, flying, done), daemon=True)
    try:
        starts = [confluent_kafka.TopicPartition(topic, number, _end(consumer, topic, number)) for number in flying]
        consumer.assign(starts)
        # Connect before the first record, so that its time is comparable with the others.
        producer.list_topics(topic, timeout=_TIMEOUT_S)
        reader.start()
        for number in range(count):
            for partition, one in flying.items():
                one.sent[number] = time.monotonic()
                value = f"{flight} {number}".encode()
                producer.produce(topic, value, partition=partition, on_delivery=_noting(one, number))
            _serve(producer, _PAUSE_S)
        # A second longer than a record's time limit, so that all refusals are known.
        until = time.monotonic() + DEADLINE_S + 1.0
        while time.monotonic() < until and not all(one.over for one in flying.values()):
            producer.poll(0.01)
    finally:
        done.set()
        if reader.ident is not None:
            reader.join(_TIMEOUT_S)
        # If the consumer were closed while the thread reads, the library would block forever.
        if not reader.is_alive():
            consumer.close()


def _serve(producer: Any, span_s: float) -> None:
    until = time.monotonic() + span_s
    while (left := until - time.monotonic()) > 0:
        producer.poll(min(left, 0.005))


def _noting(one: _Flying, number: int) -> Callable[[Any, Any], None]:
    def note(error: Any, _message: Any) -> None:
        if error is None:
            one.acknowledged[number] = time.monotonic()
        else:
            one.refusals[error.str()] += 1
            _note_denial(one, error)

    return note


def _note_denial(one: _Flying, error: Any) -> None:
    from obsctl.kafka.topic_log import DENIED

    if error.code() in DENIED:
        one.denied = error.str()


def _end(consumer: Any, topic: str, partition: int) -> int:
    """Return the partition's end offset; if the leader does not answer, let the client find the end."""
    import confluent_kafka

    place = confluent_kafka.TopicPartition(topic, partition)
    try:
        return int(consumer.get_watermark_offsets(place, timeout=1.0)[1])
    except confluent_kafka.KafkaException:
        return int(confluent_kafka.OFFSET_END)


def _read_back(consumer: Any, flight: str, flying: Mapping[int, _Flying], done: threading.Event) -> None:
    while not done.is_set():
        for message in consumer.consume(500, 0.02):
            now = time.monotonic()
            if message.error() is not None:
                if (denied := flying.get(message.partition())) is not None:
                    _note_denial(denied, message.error())
                continue
            name, _, number = (message.value() or b"").decode(errors="replace").partition(" ")
            one = flying.get(message.partition())
            if one is not None and name == flight and number.isdecimal():
                one.returned.setdefault(int(number), now)
