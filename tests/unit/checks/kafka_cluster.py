"""A whole cluster of three, and what makes it sick: the parts of snapshots for the tests of its rules."""

from __future__ import annotations

import msgspec

from obsctl.checks.kafka.snapshot import Broker, KafkaSnapshot, LogDir, Partition, Quorum, Sample, Voter
from obsctl.fleet.model import Fleet, Host, Kafka, KafkaNode, Topic

GIB = 1 << 30
FLEET = Fleet(
    hosts=tuple(
        Host(name=f"node{i}", address=f"198.18.0.1{i}", groups=("kafka",), kafka=KafkaNode(node_id=i))
        for i in (1, 2, 3)
    ),
    kafka=Kafka(topics=(Topic(name="nginxlog", partitions=3),)),
)


def broker(node: int, **changes: object) -> Broker:
    values: dict[str, object] = {
        "node_id": node,
        "host": f"node{node}",
        "address": f"198.18.0.1{node}:9092",
        "answer_ms": 20,
        "registered": True,
        "cluster_id": "c1",
        "log_dirs": (LogDir(path="/var/lib/kafka", log_bytes=GIB, total_bytes=100 * GIB, usable_bytes=60 * GIB),),
    }
    return Broker(**{**values, **changes})  # type: ignore[arg-type]


def down(node: int, *, registered: bool = False) -> Broker:
    return broker(node, failure="connection refused", answer_ms=None, registered=registered, cluster_id="", log_dirs=())


def partition(number: int, **changes: object) -> Partition:
    first = number % 3 + 1
    order = (first, first % 3 + 1, (first + 1) % 3 + 1)
    values: dict[str, object] = {
        "topic": "nginxlog",
        "partition": number,
        "leader": first,
        "leader_epoch": 4,
        "replicas": order,
        "isr": (1, 2, 3),
        "min_isr": 2,
        "start": 0,
        "lso": 100,
        "hw": 100,
        "leo": {1: 100, 2: 100, 3: 100},
    }
    return Partition(**{**values, **changes})  # type: ignore[arg-type]


def voter(node: int, behind_ms: int | None = 100, lag: int = 0) -> Voter:
    return Voter(node_id=node, log_end_offset=500 - lag, lag=lag, behind_ms=behind_ms)


QUORUM = Quorum(leader=1, epoch=7, high_watermark=500, voters=(voter(1, 0), voter(2), voter(3)))
HEALTHY = KafkaSnapshot(
    brokers=(broker(1), broker(2), broker(3)), quorum=QUORUM, partitions=tuple(partition(n) for n in range(3))
)


def but(**changes: object) -> KafkaSnapshot:
    return msgspec.structs.replace(HEALTHY, **changes)


def watched(number: int = 0, *, hw: tuple[int, int], after_s: float = 1.2, **changes: object) -> Partition:
    """Return a partition that was looked at twice: ``leo`` then, ``later`` afterwards, ``hw`` both times."""
    later = Sample(after_s=after_s, hw=hw[1], leo=changes.pop("later"))  # type: ignore[arg-type]
    return partition(number, hw=hw[0], later=later, **changes)
