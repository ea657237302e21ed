"""Fixed snapshots: a healthy and a sick one of each check."""

from __future__ import annotations

import msgspec

from obsctl.checks.balance.snapshot import BackendTally, BalancerSnapshot
from obsctl.checks.canary.snapshot import CanarySnapshot, Flight
from obsctl.checks.consumer.loss import StoredLoss
from obsctl.checks.consumer.snapshot import (
    ConsumerSnapshot,
    LastKnown,
    QuarantinedReason,
    StoredSource,
    StoreProbe,
    TableDays,
)
from obsctl.checks.health.snapshot import HostProbe
from obsctl.checks.kafka.snapshot import (
    Broker,
    Committed,
    Group,
    KafkaSnapshot,
    LogDir,
    Partition,
    Quorum,
    Sample,
    TopicSettings,
    Voter,
)
from obsctl.checks.lag.snapshot import EndLook, GroupTrack, LagSnapshot, PartitionTrack, PositionLook, PositionTrack
from obsctl.checks.logs.snapshot import (
    Events,
    FoundFile,
    HostLogs,
    Input,
    LineSeen,
    LogsSnapshot,
    Offset,
    OpenFile,
    Unit,
)
from obsctl.checks.logs.snapshot import Sample as LogsSample
from obsctl.checks.vip.snapshot import LbNode, VipSnapshot
from obsctl.core.consumer_page import ConsumerPage, LineCounts, Note, WorkerOnPage
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
TIMED = msgspec.structs.replace(
    BALANCED,
    marked=False,
    unmarked="the inventory does not name the secret that signs them (nginx_test_secret)",
    balancers={"node1": 600},
    backends=tuple(
        msgspec.structs.replace(
            tally,
            timed=200,
            upstream=f"198.18.0.1{i}:8080",
            times=(0, 120, 60 * (i - 1), 20, 1, 0, 0, 0, 0, 0, 0, 0, 0),
        )
        for i, tally in enumerate(BALANCED.backends, 1)
    ),
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
    reassignments_known=True,
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
        Broker(node_id=3, host="node3", address="198.18.0.13:9092", failure="no answer in time"),
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

NO_MAJORITY = msgspec.structs.replace(
    WHOLE_CLUSTER,
    brokers=(
        _broker(1),
        *(
            Broker(
                node_id=i, host=f"node{i}", address=f"198.18.0.1{i}:9092", failure="no answer in time", registered=True
            )
            for i in (2, 3)
        ),
    ),
    quorum=None,
    groups=(),
)
_CUT = {1: 34_051, 2: 34_000, 3: 34_051}
FOLLOWER_CUT = msgspec.structs.replace(
    WHOLE_CLUSTER,
    partitions=(
        msgspec.structs.replace(_partition(0), leo=_CUT, later=Sample(after_s=1.2, hw=34_000, leo=_CUT)),
        *(_partition(i) for i in (1, 2)),
        *(
            msgspec.structs.replace(_partition(0), topic="__consumer_offsets", partition=i, internal=True)
            for i in range(50)
        ),
    ),
)
_WEEK = TopicSettings(retention_ms=604_800_000, retention_bytes=-1, cleanup="delete", unclean=False)
TOPICS_BY_HAND = msgspec.structs.replace(
    WHOLE_CLUSTER,
    partitions=(
        *WHOLE_CLUSTER.partitions,
        Partition(
            topic="handmade", partition=0, leader=2, leader_epoch=0, replicas=(2,), isr=(2,), min_isr=1, start=0, hw=7,
            leo={2: 7}, sizes={2: 4_096},
        ),
        Partition(
            topic="rf2", partition=0, leader=1, leader_epoch=0, replicas=(1, 3), isr=(1, 3), min_isr=2, start=0, hw=0,
            leo={1: 0, 3: 0}, sizes={1: 0, 3: 0},
        ),
    ),
    settings={"nginxlog": _WEEK, "handmade": _WEEK, "rf2": msgspec.structs.replace(_WEEK, unclean=True)},
)  # fmt: skip

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


_PAGE = ConsumerPage(
    status="ok",
    started_at="2025-12-31T00:00:00.000+00:00",
    lines=LineCounts(stored=101_900, quarantined=12, known=3),
    fenced=0,
    missing_offsets=0,
    native=101_500,
    native_faults=0,
    workers=tuple(WorkerOnPage(worker=number, state="running", read_by="native module") for number in range(2)),
    last_commit_at="2026-01-01T00:00:00.500+00:00",
)
CONSUMER_WELL = ConsumerSnapshot(
    hosts=(HostProbe(name="app1", units={"obsctl-consumer": "active", "obsctl-alerter": "active"}, consumer=_PAGE),),
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
_HELD_PAGE = msgspec.structs.replace(
    _PAGE,
    status="waiting",
    troubles={
        "nginxlog/0": Note(
            "the database is at offset 35000, but the partition ends at 34000",
            "obsctl consumer reset --topic nginxlog --partition 0 --to earliest",
            "2026-01-01T00:00:00+00:00",
        )
    },
    notices={
        "nginxlog/1 database": Note(
            "the database is at offset 100, but 33990 was committed to the group before",
            "no action needed: each line is stored once",
            "2026-01-01T00:00:00.000+00:00",
        )
    },
)
CONSUMER_HELD = ConsumerSnapshot(
    hosts=(HostProbe(name="app1", units={"obsctl-consumer": "active"}, consumer=_HELD_PAGE),),
    store=StoreProbe(
        sources=(_source(0, 35_000), _source(1, 1_100), _source(2, 33_980)), rate=0.0, quarantine=(), letters_due=0
    ),
    kafka=CONSUMER_WELL.kafka,
)

_AT = 1_767_225_600.0
_LOG = "/var/log/nginx/access.log"


def _ships(number: int, *, stopped: bool = False) -> HostLogs:
    delivered = 120 if stopped else 240
    file = {"device": 1, "inode": number, "size": 240, "modified": _AT - 4}
    sample = LogsSample(
        at=_AT,
        name=f"node{number}",
        nginx=Unit(pid=10, state="S"),
        filebeat=Unit(pid=20, state="T" if stopped else "S"),
        written=(OpenFile(path=_LOG, appends=True, **file),),
        opened=(OpenFile(path=_LOG, position=delivered, **file),),
        found=(FoundFile(path=_LOG, readable=True, **file),),
        offsets=(Offset(input="nginx-access", device=1, inode=number, source=_LOG, offset=delivered),),
        inputs=(Input(id="nginx-access", paths=(f"{_LOG}*",), log_type="access"),),
        events=None if stopped else Events(acked=2),
        newest_line=_AT - 4,
    )
    return HostLogs(
        name=f"node{number}", first=sample, clock_s=0.01, clock_error_s=0.05, newest_stored=None if stopped else True
    )


def _line(number: int) -> LineSeen:
    return LineSeen(
        id=f"000000000000000{number}",
        target=f"198.18.0.1{number}:80",
        host=f"node{number}",
        backend=f"node{number}",
        status=404,
        sent=_AT,
        answered=_AT + 0.004,
        written=_AT + 0.003,
        read=_AT + 0.1,
        kafka=_AT + 0.25,
        partition=number,
        offset=7,
        stored=_AT + 0.5,
        evaluated=_AT + 0.75,
    )


SHIPPED = LogsSnapshot(hosts=(_ships(1), _ships(2), _ships(3)))
FOLLOWED = LogsSnapshot(lines=(_line(1), _line(2), _line(3)), deadline_s=30)
STAYS = LogsSnapshot(
    lines=(
        _line(1),
        msgspec.structs.replace(
            _line(2), written=0.0, read=0.0, kafka=0.0, stored=0.0, evaluated=0.0, in_file=True, read_by_shipper=False
        ),
        _line(3),
    ),
    hosts=(_ships(2, stopped=True),),
    deadline_s=30,
)

CONSUMER_WITHOUT_DATABASE = msgspec.structs.replace(
    CONSUMER_WELL,
    store=StoreProbe(failure="connection refused"),
    last_known=tuple(
        LastKnown(topic="nginxlog", partition=i, next_offset=33_500, known_by="consumer", age_s=12) for i in range(3)
    ),
)


def _ends(partition: int, first: int, each_second: int) -> PartitionTrack:
    return PartitionTrack(
        topic="nginxlog",
        partition=partition,
        retention_ms=604_800_000,
        looks=tuple(
            EndLook(at=float(at), start=1_000, end=first + at * each_second, log_end=first + at * each_second)
            for at in range(11)
        ),
    )


def _positions(partition: int, first: int, each_second: int, *commits: float, old_s: int = 0) -> PositionTrack:
    return PositionTrack(
        topic="nginxlog",
        partition=partition,
        looks=tuple(PositionLook(at=float(at), offset=first + at * each_second) for at in range(11)),
        commits=commits,
        record_ms=1_767_225_600_000 - 1000 * old_s if old_s else None,
    )


_LAG = LagSnapshot(
    window_s=10.0,
    ended_ms=1_767_225_600_000,
    history_s=190.0,
    brokers=WHOLE_CLUSTER.brokers,
    partitions=(_ends(0, 34_000, 20), _ends(1, 34_000, 20)),
    losses=(),
)
LAG_WELL = msgspec.structs.replace(
    _LAG,
    groups=(
        GroupTrack(
            name="obsctl-alerter", state="Empty", positions=(_positions(0, 33_900, 20, -1.0, 4.0, 9.0, old_s=5),)
        ),
        GroupTrack(name="obsctl-alerter-active", state="Stable"),
        GroupTrack(
            name="obsctl-consumer", state="Stable", positions_in="database", positions=(_positions(0, 34_000, 20),)
        ),
        GroupTrack(name="share", kind="share", state="Stable"),
    ),
)
LAG_SICK = msgspec.structs.replace(
    _LAG,
    losses=(StoredLoss(topic="nginxlog", partition=0, lost=1_427, at="2025-12-31T23:40:07Z"),),
    groups=(
        GroupTrack(name="analytics-foreign", state="Empty", positions=(_positions(0, 500, 0, old_s=590_000),)),
        GroupTrack(
            name="obsctl-consumer",
            state="Stable",
            positions=(
                _positions(0, 30_000, 0, old_s=560_000),
                _positions(1, 30_000, 5, -5.0, 0.0, 5.0, 10.0, old_s=900),
            ),
        ),
        GroupTrack(name="reports", state="Stable", positions=(_positions(1, 20_000, 0, 1.0, 6.0),)),
    ),
)


def _flight(partition: int, leader: int, ms: float, *, lost: int = 0) -> Flight:
    took = tuple(ms + number / 10 for number in range(20))
    return Flight(partition=partition, leader=leader, sent=20, acknowledged_ms=took, returned_ms=took[: 20 - lost])


CANARY_WELL = CanarySnapshot(topic="nginxlog-canary", flights=tuple(_flight(i, i % 3 + 1, 4.0) for i in range(6)))
CANARY_SICK = CanarySnapshot(
    topic="nginxlog-canary",
    flights=(
        _flight(0, 1, 4.0),
        _flight(1, 2, 260.0, lost=1),
        Flight(partition=2, leader=3, sent=20, refusals={"Broker: Not enough in-sync replicas": 20}),
    ),
)
