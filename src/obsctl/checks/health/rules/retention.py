"""Lines that Kafka deleted before the consumer read them."""

from __future__ import annotations

from collections.abc import Iterator

from obsctl.checks.kafka.snapshot import KafkaSnapshot
from obsctl.checks.lag import retention
from obsctl.core.report import Finding
from obsctl.fleet.model import Fleet
from obsctl.kafka.partition import TopicPartition


def expired(fleet: Fleet, kafka: KafkaSnapshot) -> Iterator[Finding]:
    """Records that the consumer's group will miss: the retention has passed its position."""
    group = next((group for group in kafka.groups if group.name == fleet.consumer.group), None)
    starts = {(p.topic, p.partition): p.start for p in kafka.partitions}
    found = {
        str(TopicPartition(place.topic, place.partition)): (starts.get((place.topic, place.partition)) or 0)
        - place.offset
        for place in (group.committed if group else ())
    }
    yield from retention.expired(fleet, fleet.consumer.group, {name: gone for name, gone in found.items() if gone > 0})
