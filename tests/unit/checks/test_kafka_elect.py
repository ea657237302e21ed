"""Which leaders can be moved back, and what is said of those that cannot."""

from __future__ import annotations

import msgspec
import pytest
from tests.unit.checks.kafka_cluster import FLEET, HEALTHY, broker, but, down, partition

from obsctl.checks.kafka import elect
from obsctl.checks.kafka.snapshot import KafkaSnapshot
from obsctl.checks.kafka.view import ClusterView
from obsctl.core.errors import RefusedError, UsageError
from obsctl.core.report import Severity

LED_BY_1 = tuple(partition(n, leader=1) for n in range(3))


def plan(seen: KafkaSnapshot, *topics: str) -> list[tuple[str, int, str]]:
    return [
        (move.partition.name, move.preferred, move.why_not) for move in elect.plan(ClusterView(FLEET, seen), topics)
    ]


def test_what_its_first_replica_leads_stays() -> None:
    assert plan(HEALTHY) == []


def test_what_another_leads_moves_to_its_first_replica() -> None:
    assert plan(but(partitions=LED_BY_1)) == [("nginxlog-1", 2, ""), ("nginxlog-2", 3, "")]


def test_a_first_replica_that_cannot_lead_is_named() -> None:
    seen = but(
        brokers=(broker(1), broker(2), down(3)),
        partitions=(LED_BY_1[0], partition(1, leader=1, isr=(1, 3)), LED_BY_1[2]),
    )
    assert plan(seen) == [
        ("nginxlog-1", 2, "broker 2 is not in the ISR"),
        ("nginxlog-2", 3, "broker 3 does not answer"),
    ]


def test_only_the_topics_that_are_named() -> None:
    seen = but(partitions=(*LED_BY_1, partition(0, topic="other", leader=2)))
    assert plan(seen, "other") == [("other-0", 1, "")]
    with pytest.raises(UsageError, match="no topic nothing"):
        plan(seen, "other", "nothing")


@pytest.mark.parametrize(
    "seen",
    [
        but(quorum=None, partitions=LED_BY_1),
        but(quorum=None, brokers=(broker(1), down(2), down(3)), partitions=LED_BY_1),
        KafkaSnapshot(brokers=(down(1), down(2), down(3))),
    ],
)
def test_without_a_controller_it_is_refused(seen: KafkaSnapshot) -> None:
    with pytest.raises(RefusedError):
        plan(seen)


def test_the_report_of_an_election() -> None:
    moves = elect.plan(ClusterView(FLEET, but(partitions=LED_BY_1)))
    moves.append(elect.Move(partition(0, topic="other", leader=2), 1, "broker 1 is not in the ISR"))
    done = [elect.Election(moves[0]), elect.Election(moves[1], "PREFERRED_LEADER_NOT_AVAILABLE")]
    after = but(partitions=(partition(0), partition(1, leader=2), partition(2, leader=1)))
    rows = elect.rows(moves, done, after)
    assert [(row["leader"], row["preferred"], row["result"]) for row in rows] == [
        (2, 2, "moved"),
        (1, 3, "PREFERRED_LEADER_NOT_AVAILABLE"),
        (2, 1, "broker 1 is not in the ISR"),
    ]
    (finding,) = elect.judge_elections(moves, done)
    assert (finding.code, finding.severity) == ("KAFKA_LEADER_NOT_MOVED", Severity.WARNING)
    assert "other-0 (broker 1 is not in the ISR), nginxlog-2 (PREFERRED_LEADER_NOT_AVAILABLE)" in finding.summary
    assert elect.judge_elections(moves[:1], done[:1]) == []


def test_a_dry_run_says_what_would_move() -> None:
    moves = elect.plan(ClusterView(FLEET, but(partitions=LED_BY_1)))
    assert [row["result"] for row in elect.rows(moves, [], None)] == ["would move", "would move"]


def test_the_plan_survives_a_fleet_of_other_brokers() -> None:
    fleet = msgspec.structs.replace(FLEET, hosts=())
    assert [move.preferred for move in elect.plan(ClusterView(fleet, but(partitions=LED_BY_1)))] == [2, 3]
