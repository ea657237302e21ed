"""What a cluster that is not whole means for writers."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.unit.render.snapshots import BROKER_DOWN, FLEET, UNREACHABLE, WHOLE_CLUSTER

from obsctl.checks.kafka.judge import describe_cluster
from obsctl.checks.kafka.snapshot import KafkaSnapshot
from obsctl.checks.kafka.writes import writes


def _with(seen: KafkaSnapshot, *, silent: tuple[int, ...] = (), **parts: Any) -> KafkaSnapshot:
    """Return the cluster with silent brokers, and with other values in each partition."""
    brokers = [
        msgspec.structs.replace(broker, failure="no answer in time") if broker.node_id in silent else broker
        for broker in seen.brokers
    ]
    partitions = [msgspec.structs.replace(p, **parts) for p in seen.partitions]
    return msgspec.structs.replace(seen, brokers=tuple(brokers), partitions=tuple(partitions))


def _without_quorum(seen: KafkaSnapshot) -> KafkaSnapshot:
    return msgspec.structs.replace(seen, quorum=None)


def _behind(seen: KafkaSnapshot, node: int) -> KafkaSnapshot:
    assert seen.quorum
    voters = [
        msgspec.structs.replace(voter, behind_ms=60_000) if voter.node_id == node else voter
        for voter in seen.quorum.voters
    ]
    return msgspec.structs.replace(seen, quorum=msgspec.structs.replace(seen.quorum, voters=tuple(voters)))


def _and(seen: KafkaSnapshot, **parts: Any) -> KafkaSnapshot:
    """Return the cluster with one more partition, which is like its first one but for these values."""
    return msgspec.structs.replace(
        seen, partitions=(*seen.partitions, msgspec.structs.replace(seen.partitions[0], **parts))
    )


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (WHOLE_CLUSTER, ""),
        (KafkaSnapshot(), ""),
        (BROKER_DOWN, "writes continue, one more broker down stops them"),
        # The replicas would do, and two of three voters are all that a controller needs.
        (_with(BROKER_DOWN, min_isr=1), "writes continue, one more controller down and no leader can be elected"),
        (_with(WHOLE_CLUSTER, isr=(1, 2), leader=1, min_isr=1), "writes continue, 1 more node may be lost"),
        (_with(BROKER_DOWN, min_isr=None), ""),
        (_with(WHOLE_CLUSTER, isr=(1,)), "writes stop on 3 of 3 partitions; Filebeat keeps the lines"),
        (_with(WHOLE_CLUSTER, leader=None), "writes stop on 3 of 3 partitions; Filebeat keeps the lines"),
        (UNREACHABLE, "nothing can be written; Filebeat keeps the lines"),
        # The metadata does not show it yet, and may never do so.
        (_with(WHOLE_CLUSTER, silent=(2, 3)), "writes stop on 3 of 3 partitions; Filebeat keeps the lines"),
        (
            _with(WHOLE_CLUSTER, silent=(3,)),
            "writes wait on 1 of 3 partitions until another broker leads them",
        ),
        (_with(WHOLE_CLUSTER, silent=(3,), leader=1), "writes continue, one more broker down stops them"),
        # Two dead controllers that hold no replica of these.
        (
            _without_quorum(_with(WHOLE_CLUSTER, silent=(2, 3), leader=1, isr=(1,), min_isr=1)),
            "writes continue as long as every broker stays up: no leader can be elected",
        ),
        # With their replicas in the ISR every write waits for them.
        (
            _without_quorum(_with(WHOLE_CLUSTER, silent=(2, 3), leader=1, min_isr=1)),
            "writes stop on 3 of 3 partitions; Filebeat keeps the lines",
        ),
        # A controller that is behind is a loss too, although every replica is there.
        (_behind(WHOLE_CLUSTER, 3), "writes continue, one more controller down and no leader can be elected"),
        (
            _and(BROKER_DOWN, topic="__consumer_offsets", internal=True, leader=None),
            "writes of lines continue; __consumer_offsets-0, Kafka's own, accepts none",
        ),
    ],
)
def test_what_it_means(seen: KafkaSnapshot, words: str) -> None:
    assert writes(FLEET, seen) == words


def test_a_topic_of_somebody_else_does_not_count() -> None:
    theirs = [msgspec.structs.replace(p, topic="handmade", replicas=(3,), isr=(3,)) for p in BROKER_DOWN.partitions]
    seen = msgspec.structs.replace(BROKER_DOWN, partitions=(*BROKER_DOWN.partitions, *theirs))
    assert writes(FLEET, seen) == writes(FLEET, BROKER_DOWN)


def test_the_headline_and_the_table_say_the_same() -> None:
    for seen in (BROKER_DOWN, _with(BROKER_DOWN, min_isr=1), _with(WHOLE_CLUSTER, leader=None), UNREACHABLE):
        assert describe_cluster(FLEET, seen)["headroom"]["means"] == writes(FLEET, seen)
