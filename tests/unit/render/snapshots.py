"""Fixed snapshots: a healthy and a sick one of each check."""

from __future__ import annotations

from typing import Any

import msgspec

from obsctl.checks.balance.snapshot import BackendTally, BalancerSnapshot
from obsctl.checks.consumer.snapshot import ConsumerSnapshot, QuarantinedReason, StoredSource, StoreProbe, TableDays
from obsctl.checks.health.snapshot import HostProbe
from obsctl.checks.kafka.snapshot import Broker, Committed, Group, KafkaSnapshot, LogDir, Partition, Quorum, Voter
from obsctl.checks.vip.snapshot import LbNode, VipSnapshot
from obsctl.fleet.model import BackendNode, Database, Fleet, Host, Kafka, KafkaNode, Topic, Vip

FLEET = Fleet(
    vip=Vip(address="198.18.0.100"),
    hosts=tuple(
        Host(
            name=f"node{i}",
            address=f"198.18.0.1{i}",
            groups=("lb", "backend", "kafka"),
            kafka=KafkaNode(node_id=i),
            backend=BackendNode(),
        )
        for i in (1, 2, 3)
    ),
    kafka=Kafka(topics=(Topic(name="nginxlog", partitions=3),)),
)


def _tally(name: str, answers: int) -> BackendTally:
    return BackendTally(name=name, answers=answers, errors=0, p50_ms=1.25, p99_ms=4.5)


BALANCED = BalancerSnapshot(
    target="198.18.0.100:80", wanted=600, sent=600, backends=tuple(_tally(f"node{i}", 200) for i in (1, 2, 3))
)
SILENT_BACKEND = BalancerSnapshot(
    target="198.18.0.100:80", wanted=600, sent=600, backends=(_tally("node1", 300), _tally("node3", 300))
)
DEAD_VIP = BalancerSnapshot(target="198.18.0.100:80", wanted=600, sent=2, failures={"no route to host": 2}, lost=True)


def _node(number: int, *, holds: bool) -> LbNode:
    return LbNode(
        name=f"node{number}",
        address=f"198.18.0.1{number}",
        priority=110 - number,
        holds_vip=holds,
        keepalived="active",
        macs=(f"02:00:00:00:00:0{number}",),
    )


ONE_HOLDER = VipSnapshot(
    vip="198.18.0.100",
    nodes=(_node(1, holds=True), _node(2, holds=False), _node(3, holds=False)),
    neighbour_mac="02:00:00:00:00:01",
)
SPLIT_BRAIN = VipSnapshot(
    vip="198.18.0.100",
    nodes=(_node(1, holds=True), _node(2, holds=True), _node(3, holds=False)),
    neighbour_mac="02:00:00:00:00:02",
)

_DISK = LogDir(path="/var/lib/kafka", log_bytes=3 << 30, total_bytes=100 << 30, usable_bytes=60 << 30)


def _broker(number: int) -> Broker:
    return Broker(
        node_id=number,
        host=f"node{number}",
        address=f"198.18.0.1{number}:9092",
        answer_ms=20 + number,
        registered=True,
        cluster_id="AbCdEfGhIjKlMnOpQrStUv",
        log_dirs=(_DISK,),
    )


def _partition(number: int) -> Partition:
    order = ((1, 2, 3), (2, 3, 1), (3, 1, 2))[number]
    return Partition(
        topic="nginxlog",
        partition=number,
        leader=order[0],
        leader_epoch=4,
        replicas=order,
        isr=(1, 2, 3),
        min_isr=2,
        start=1_000,
        lso=34_000,
        hw=34_000,
        leo={1: 34_000, 2: 34_000, 3: 34_000},
    )


WHOLE_CLUSTER = KafkaSnapshot(
    brokers=tuple(_broker(i) for i in (1, 2, 3)),
    quorum=Quorum(
        leader=1,
        epoch=7,
        high_watermark=5_000,
        voters=tuple(Voter(node_id=i, log_end_offset=5_000, lag=0, behind_ms=(i - 1) * 200) for i in (1, 2, 3)),
    ),
    partitions=tuple(_partition(i) for i in range(3)),
    groups=(
        Group(
            name="obsctl-consumer",
            state="Stable",
            coordinator=2,
            committed=tuple(Committed(topic="nginxlog", partition=i, offset=33_900) for i in range(3)),
        ),
    ),
)
_FENCED = [
    msgspec.structs.replace(p, isr=(1, 2), leader=p.leader if p.leader != 3 else 1, leo={1: 34_000, 2: 34_000, 3: None})
    for p in WHOLE_CLUSTER.partitions
]
BROKER_DOWN = msgspec.structs.replace(
    WHOLE_CLUSTER,
    brokers=(
        _broker(1),
        _broker(2),
        Broker(node_id=3, host="node3", address="198.18.0.13:9092", failure="no answer within the deadline"),
    ),
    quorum=Quorum(
        leader=1,
        epoch=7,
        high_watermark=5_060,
        voters=(
            Voter(node_id=1, log_end_offset=5_060, lag=0, behind_ms=0),
            Voter(node_id=2, log_end_offset=5_060, lag=0, behind_ms=210),
            Voter(node_id=3, log_end_offset=5_000, lag=60, behind_ms=30_000),
        ),
    ),
    partitions=tuple(_FENCED),
)
UNREACHABLE = KafkaSnapshot(
    brokers=tuple(
        Broker(node_id=i, host=f"node{i}", address=f"198.18.0.1{i}:9092", failure="no route to host") for i in (1, 2, 3)
    )
)

CONSUMER_FLEET = msgspec.structs.replace(
    FLEET,
    hosts=(*FLEET.hosts, Host(name="app1", address="198.18.0.31", groups=("consumer",))),
    database=Database(host="198.18.0.21", service="mariadb"),
)


def _source(number: int, next_offset: int) -> StoredSource:
    return StoredSource(
        source_id=number + 1,
        cluster_id="AbCdEfGhIjKlMnOpQrStUv",
        topic="nginxlog",
        partition=number,
        topic_id="ZyXwVuTsRqPoNmLkJiHgFe",
        next_offset=next_offset,
        newest_event="2026-01-01 00:00:00.250000",
        event_age_s=2,
        moved_s=1,
    )


_PAGE: dict[str, Any] = {
    "status": "ok",
    "started_at": "2025-12-31T00:00:00.000+00:00",
    "troubles": {},
    "notices": {},
    "lines": {"stored": 101_900, "quarantined": 12, "known": 3},
    "fenced": 0,
    "missing_offsets": 0,
    "last_commit_at": "2026-01-01T00:00:00.500+00:00",
}
CONSUMER_WELL = ConsumerSnapshot(
    hosts=(
        HostProbe(
            name="app1", units={"obsctl-consumer": "active", "obsctl-alerter": "active"}, services={"consumer": _PAGE}
        ),
    ),
    store=StoreProbe(
        sources=tuple(_source(number, 34_000 - 10 * number) for number in range(3)),
        rate=412.5,
        quarantine=(
            QuarantinedReason(
                reason="parse", lines=12, first="2025-12-31 10:00:00.000000", last="2026-01-01 00:00:00.100000"
            ),
        ),
        quarantined_last_day=12,
        letters_due=0,
        tables=tuple(
            TableDays(table=name, days_ahead=7, beyond_rows=0) for name in ("access_log", "error_log", "rollup_minute")
        ),
    ),
    kafka=msgspec.structs.replace(WHOLE_CLUSTER, quorum=None, groups=()),
)
_HELD_PAGE = _PAGE | {
    "status": "waiting",
    "troubles": {
        "nginxlog/0": {
            "message": "the database is at offset 35000, the broker ends at 34000",
            "hint": "obsctl consumer reset --topic nginxlog --partition 0 --to earliest",
            "since": "2026-01-01T00:00:00+00:00",
        }
    },
    "notices": {
        "nginxlog/1 database": {
            "message": "the database is at offset 100, and the group had been told 33990",
            "hint": "nothing is to be done: each line is stored once",
            "since": "2026-01-01T00:00:00.000+00:00",
        }
    },
}
CONSUMER_HELD = ConsumerSnapshot(
    hosts=(HostProbe(name="app1", units={"obsctl-consumer": "active"}, services={"consumer": _HELD_PAGE}),),
    store=StoreProbe(
        sources=(_source(0, 35_000), _source(1, 1_100), _source(2, 33_980)), rate=0.0, quarantine=(), letters_due=0
    ),
    kafka=CONSUMER_WELL.kafka,
)
