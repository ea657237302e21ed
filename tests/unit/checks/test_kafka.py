"""The cluster's verdict, from snapshots."""

from __future__ import annotations

import msgspec
import pytest

from obsctl.checks.kafka.judge import (
    describe_cluster,
    describe_partitions,
    group_lag,
    judge_cluster,
    judge_partitions,
    may_still_fail,
    replica_lag,
)
from obsctl.checks.kafka.snapshot import Broker, Committed, Group, KafkaSnapshot, LogDir, Partition, Quorum, Voter
from obsctl.core.report import Fault, Severity
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


def codes(seen: KafkaSnapshot) -> dict[str, Severity]:
    return {finding.code: finding.severity for finding in judge_cluster(FLEET, seen)}


def test_a_whole_cluster_is_ok() -> None:
    assert judge_cluster(FLEET, HEALTHY) == []
    assert judge_partitions(FLEET, HEALTHY) == []


def test_nothing_reachable_is_one_critical_finding() -> None:
    seen = KafkaSnapshot(brokers=(down(1), down(2), down(3)))
    assert codes(seen) == {"KAFKA_UNREACHABLE": Severity.CRITICAL}
    (finding,) = judge_partitions(FLEET, seen)
    assert "198.18.0.12:9092: connection refused" in finding.summary


def test_an_inventory_without_brokers_is_not_ok() -> None:
    assert codes(KafkaSnapshot()) == {"KAFKA_UNREACHABLE": Severity.CRITICAL}


def test_a_dead_broker_costs_its_row_and_names_what_it_held() -> None:
    (finding,) = judge_cluster(FLEET, but(brokers=(broker(1), broker(2), down(3, registered=True))))
    assert (finding.code, finding.object) == ("KAFKA_BROKER_DOWN", "broker/3")
    assert finding.evidence["led"] == ["nginxlog-2"]
    assert finding.evidence["partitions"] == ["nginxlog-0", "nginxlog-1", "nginxlog-2"]


def test_a_fenced_broker_answers_and_is_not_listed() -> None:
    assert codes(but(brokers=(broker(1), broker(2), broker(3, registered=False)))) == {
        "KAFKA_BROKER_FENCED": Severity.WARNING
    }


def test_a_broker_of_another_cluster_is_critical() -> None:
    assert "KAFKA_CLUSTER_ID_MISMATCH" in codes(but(brokers=(broker(1), broker(2), broker(3, cluster_id="c2"))))


def test_after_fencing_the_partitions_are_named() -> None:
    seen = but(
        brokers=(broker(1), broker(2), down(3)),
        partitions=tuple(partition(n, isr=(1, 2), leader=1 + n % 2) for n in range(3)),
    )
    found = {f.code: f for f in judge_cluster(FLEET, seen)}
    assert set(found) == {"KAFKA_BROKER_DOWN", "KAFKA_AT_MIN_ISR", "KAFKA_UNDER_REPLICATED"}
    under = found["KAFKA_UNDER_REPLICATED"]
    assert under.evidence["partitions"] == ["nginxlog-0", "nginxlog-1", "nginxlog-2"]
    assert under.evidence["missing_replicas_on"] == [3]
    assert "broker 3, which does not answer" in under.summary


def test_many_partitions_make_one_line() -> None:
    many = tuple(partition(n, isr=(1, 2)) for n in range(200))
    found = {f.code: f for f in judge_cluster(FLEET, but(partitions=many))}
    assert "and 194 more (200 of 200 partitions" in found["KAFKA_UNDER_REPLICATED"].summary
    assert len(found["KAFKA_UNDER_REPLICATED"].evidence["partitions"]) == 200


@pytest.mark.parametrize(
    ("isr", "min_isr", "expected"),
    [
        ((1, 2, 3), 2, set()),
        ((1, 2), 2, {"KAFKA_UNDER_REPLICATED", "KAFKA_AT_MIN_ISR"}),
        ((1,), 2, {"KAFKA_UNDER_REPLICATED", "KAFKA_UNDER_MIN_ISR"}),
        ((1, 2), None, {"KAFKA_UNDER_REPLICATED"}),
        # Whole, and min.insync.replicas is as high as it gets: nothing is wrong with it at the moment.
        ((1, 2, 3), 3, set()),
        # More asked for than there are replicas: the effective value is 3 (KAFKA-21377).
        ((1, 2, 3), 5, set()),
        ((1, 2), 5, {"KAFKA_UNDER_REPLICATED", "KAFKA_UNDER_MIN_ISR"}),
    ],
)
def test_isr_against_the_effective_minimum(isr: tuple[int, ...], min_isr: int | None, expected: set[str]) -> None:
    seen = but(partitions=(partition(0, isr=isr, min_isr=min_isr), partition(1), partition(2)))
    assert set(codes(seen)) == expected


def test_a_partition_without_a_leader_is_offline_and_nothing_else() -> None:
    seen = but(
        partitions=(partition(0, leader=None, isr=(3,), hw=None, lso=None, start=None), partition(1), partition(2))
    )
    assert codes(seen) == {"KAFKA_OFFLINE_PARTITIONS": Severity.CRITICAL}


@pytest.mark.parametrize(
    ("voters", "may_fail"),
    [
        ((voter(1, 0), voter(2), voter(3)), 1),
        ((voter(1, 0), voter(2), voter(3, 60_000)), 0),
        ((voter(1, 0), voter(2), voter(3, None)), 0),
        ((voter(1, 0), voter(2, None), voter(3, None)), 0),
        ((voter(1, 0), voter(2), voter(3), voter(4), voter(5)), 2),
        ((voter(1, 0),), 0),
        # Brokers before 3.3 report no times: the lag in records decides.
        ((voter(1, None), voter(2, None), voter(3, None, lag=5_000)), 0),
        ((voter(1, None), voter(2, None), voter(3, None, lag=5)), 1),
    ],
)
def test_how_many_voters_may_still_fail(voters: tuple[Voter, ...], may_fail: int) -> None:
    assert may_still_fail(Quorum(leader=1, epoch=7, high_watermark=500, voters=voters)) == may_fail


def test_a_lagging_voter_is_critical_when_it_was_the_last_spare() -> None:
    three = Quorum(leader=1, epoch=7, high_watermark=500, voters=(voter(1, 0), voter(2), voter(3, 60_000)))
    assert codes(but(quorum=three)) == {"KAFKA_QUORUM_VOTER_LAGGING": Severity.CRITICAL}
    five = Quorum(
        leader=1, epoch=7, high_watermark=500, voters=(voter(1, 0), voter(2), voter(3), voter(4), voter(5, None))
    )
    assert codes(but(quorum=five)) == {"KAFKA_QUORUM_VOTER_LAGGING": Severity.WARNING}


def test_no_answer_from_a_controller_is_unknown_while_there_may_be_one() -> None:
    seen = but(quorum=None, brokers=(broker(1), broker(2), down(3)))
    assert codes(seen)["KAFKA_NO_CONTROLLER"] is Severity.UNKNOWN


def test_without_a_majority_there_is_no_controller() -> None:
    seen = but(quorum=None, brokers=(broker(1), down(2), down(3)))
    assert codes(seen)["KAFKA_NO_CONTROLLER"] is Severity.CRITICAL


def test_a_refused_description_is_an_error_not_a_missing_controller() -> None:
    fault = Fault(code="KAFKA_QUORUM_UNREADABLE", object="kafka/quorum", summary="refused")
    assert codes(but(quorum=None, errors=(fault,))) == {}


def test_a_missing_topic_and_missing_partitions() -> None:
    assert codes(but(partitions=())) == {"KAFKA_TOPIC_MISSING": Severity.CRITICAL}
    assert codes(but(partitions=HEALTHY.partitions[:2])) == {"KAFKA_PARTITION_COUNT": Severity.WARNING}


def test_a_thin_internal_topic_is_told_a_foreign_one_is_not() -> None:
    thin = partition(0, topic="__consumer_offsets", replicas=(1,), isr=(1,), leo={1: 0}, internal=True)
    foreign = partition(0, topic="somebody", replicas=(1,), isr=(1,), leo={1: 0}, min_isr=1)
    found = judge_cluster(FLEET, but(partitions=(*HEALTHY.partitions, thin, foreign)))
    assert [(f.code, f.object) for f in found] == [("KAFKA_REPLICATION_FACTOR", "topic/__consumer_offsets")]


def test_a_one_broker_fleet_is_not_blamed_for_one_replica() -> None:
    seen = KafkaSnapshot(
        brokers=(broker(1),),
        quorum=Quorum(leader=1, epoch=1, high_watermark=1, voters=(voter(1, 0),)),
        partitions=tuple(partition(n, leader=1, replicas=(1,), isr=(1,), leo={1: 1}) for n in range(3)),
    )
    assert "KAFKA_REPLICATION_FACTOR" not in codes(seen)


def test_a_min_isr_below_the_inventorys_promises_less() -> None:
    seen = but(partitions=tuple(partition(n, min_isr=1) for n in range(3)))
    assert codes(seen) == {"KAFKA_MIN_ISR_LOW": Severity.WARNING}


def test_leader_skew_informs_and_never_alarms() -> None:
    seen = but(partitions=tuple(partition(n, leader=1) for n in range(3)))
    assert codes(seen) == {"KAFKA_LEADER_SKEW": Severity.INFO}
    (finding,) = judge_cluster(FLEET, seen)
    assert finding.hint.endswith(
        "on node1: kafka-cli elect --bootstrap-server 198.18.0.11:9092 --election-type PREFERRED --all-topic-partitions"
    )


@pytest.mark.parametrize(
    ("usable", "expected"),
    [(60, {}), (10, {"KAFKA_DISK_LOW": Severity.WARNING}), (2, {"KAFKA_DISK_LOW": Severity.CRITICAL})],
)
def test_disk(usable: int, expected: dict[str, Severity]) -> None:
    directory = LogDir(path="/var/lib/kafka", log_bytes=GIB, total_bytes=100 * GIB, usable_bytes=usable * GIB)
    assert codes(but(brokers=(broker(1, log_dirs=(directory,)), broker(2), broker(3)))) == expected


def test_a_dead_disk_and_a_broker_that_tells_no_sizes() -> None:
    directory = LogDir(path="/var/lib/kafka", healthy=False)
    assert codes(but(brokers=(broker(1, log_dirs=(directory,)), broker(2), broker(3)))) == {
        "KAFKA_LOG_DIR_OFFLINE": Severity.CRITICAL
    }


def group(name: str, offset: int, state: str = "Stable") -> Group:
    return Group(
        name=name, state=state, coordinator=1, committed=(Committed(topic="nginxlog", partition=0, offset=offset),)
    )


def test_lag_of_our_groups_always_counts_of_others_only_with_members() -> None:
    ends = (partition(0, hw=1_000_000), partition(1), partition(2))
    assert codes(but(partitions=ends, groups=(group("obsctl-consumer", 0, "Empty"),))) == {
        "KAFKA_LAG": Severity.WARNING
    }
    assert codes(but(partitions=ends, groups=(group("somebody", 0),))) == {"KAFKA_LAG": Severity.WARNING}
    assert codes(but(partitions=ends, groups=(group("somebody", 0, "Empty"),))) == {}
    assert codes(but(partitions=ends, groups=(group("obsctl-consumer", 999_990),))) == {}


def test_lag_is_unknown_where_no_high_watermark_is() -> None:
    assert group_lag(group("g", 5), (partition(0, hw=None),)) is None
    assert group_lag(group("g", 5), (partition(0, hw=9),)) == 4


def test_follower_lag_counts_only_who_answered() -> None:
    assert replica_lag(partition(0, leo={1: 34_000, 2: 34_000, 3: 5_001})) == 28_999
    assert replica_lag(partition(0, leo={1: 34_000, 2: 33_990, 3: None})) == 10
    assert replica_lag(partition(0, leo={1: None, 2: 5, 3: 5})) is None


def test_partitions_have_the_contracts_names() -> None:
    row = describe_partitions(FLEET, HEALTHY)["partitions"][0]
    assert {"topic", "partition", "leader", "isr", "start", "lso", "hw", "leo"} <= set(row)
    assert row["leo"] == {"1": 100, "2": 100, "3": 100}


def test_a_sum_that_would_leave_out_a_partition_is_not_shown() -> None:
    seen = but(partitions=(partition(0, hw=None), partition(1), partition(2)))
    (topic,) = describe_cluster(FLEET, seen)["topics"]
    assert topic["messages"] is None


def test_a_snapshot_survives_json() -> None:
    assert msgspec.json.decode(msgspec.json.encode(HEALTHY), type=KafkaSnapshot) == HEALTHY


WITH_CONSUMER = msgspec.structs.replace(
    FLEET, hosts=(*FLEET.hosts, Host(name="app1", address="198.18.0.31", groups=("consumer",)))
)


def unread(settled: int | None, *groups: Group, **changes: object) -> dict[str, Severity]:
    seen = but(partitions=tuple(partition(n, settled=settled) for n in range(3)), groups=groups, **changes)
    return {finding.code: finding.severity for finding in judge_cluster(WITH_CONSUMER, seen)}


def consumer(state: str, *offsets: int) -> Group:
    committed = tuple(Committed(topic="nginxlog", partition=n, offset=offset) for n, offset in enumerate(offsets))
    return Group(name="obsctl-consumer", state=state, coordinator=1, committed=committed)


def test_old_messages_that_nobody_reads_are_told() -> None:
    assert unread(100) == {"KAFKA_GROUP_UNREAD": Severity.WARNING}
    assert unread(100, consumer("Empty")) == {"KAFKA_GROUP_UNREAD": Severity.WARNING}
    assert unread(100, consumer("Stable")) == {"KAFKA_GROUP_UNREAD": Severity.UNKNOWN}


@pytest.mark.parametrize("settled", [0, None])
def test_a_fresh_fleet_is_no_alarm(settled: int | None) -> None:
    assert unread(settled) == {}
    assert unread(settled, consumer("Stable")) == {}


def test_a_group_that_forms_or_has_a_position_is_no_alarm() -> None:
    assert unread(100, consumer("PreparingRebalance")) == {}
    assert unread(100, consumer("Stable", 90)) == {}


def test_where_not_everything_was_told_an_absent_group_proves_nothing() -> None:
    fault = Fault(code="KAFKA_ANSWER_REFUSED", object="broker/1", summary="x")
    assert unread(100, errors=(fault,)) == {}
    assert unread(100, brokers=(broker(1), broker(2), down(3))) == {"KAFKA_BROKER_DOWN": Severity.CRITICAL}
    assert codes(but(partitions=tuple(partition(n, settled=100) for n in range(3)))) == {}
