"""The cluster's verdict, from snapshots."""

from __future__ import annotations

import msgspec
import pytest
from tests.unit.checks.kafka_cluster import FLEET, GIB, HEALTHY, broker, but, down, partition, voter

from obsctl.checks.kafka.judge import (
    describe_cluster,
    describe_partitions,
    describe_quorum,
    group_lag,
    judge_cluster,
    judge_partitions,
    replica_lag,
)
from obsctl.checks.kafka.snapshot import Committed, Group, KafkaSnapshot, LogDir, Quorum, Voter
from obsctl.core.report import Fault, Severity
from obsctl.fleet.model import Host


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
    finding, led = judge_cluster(FLEET, but(brokers=(broker(1), broker(2), down(3, registered=True))))
    assert (finding.code, finding.object) == ("KAFKA_BROKER_DOWN", "broker/3")
    assert (led.code, led.severity) == ("KAFKA_LEADER_SILENT", Severity.WARNING)
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
        # Whole, but the first stopped broker stops it.
        ((1, 2, 3), 3, {"KAFKA_MIN_ISR_HIGH"}),
        # More asked for than there are replicas: the effective value is 3 (KAFKA-21377).
        ((1, 2, 3), 5, {"KAFKA_MIN_ISR_HIGH"}),
        ((1, 2), 5, {"KAFKA_UNDER_REPLICATED", "KAFKA_UNDER_MIN_ISR", "KAFKA_MIN_ISR_HIGH"}),
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
    quorum = Quorum(leader=1, epoch=7, high_watermark=500, voters=voters)
    assert describe_quorum(FLEET, but(quorum=quorum))["quorum"]["may_fail"] == may_fail


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
    assert finding.hint.endswith("obsctl kafka rebalance-leaders")


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


def test_the_lag_of_the_slowest_is_not_known_where_one_is_silent() -> None:
    assert replica_lag(partition(0, leo={1: 34_000, 2: 34_000, 3: 5_001})) == 28_999
    assert replica_lag(partition(0, leo={1: 34_000, 2: 33_990, 3: None})) is None
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
    assert "KAFKA_GROUP_UNREAD" not in unread(100, brokers=(broker(1), broker(2), down(3)))
    assert codes(but(partitions=tuple(partition(n, settled=100) for n in range(3)))) == {}
