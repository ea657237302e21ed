"""What the canary's times and losses say about a broker."""

from __future__ import annotations

import msgspec
import pytest

from obsctl.checks.canary.judge import describe_canary, judge_canary, percentile
from obsctl.checks.canary.snapshot import CanarySnapshot, Flight
from obsctl.core.report import Severity
from obsctl.fleet.model import Fleet, Host, Kafka, KafkaNode

FLEET = Fleet(
    hosts=tuple(
        Host(name=f"node{i}", address=f"198.18.0.1{i}", groups=("kafka",), kafka=KafkaNode(node_id=i))
        for i in (1, 2, 3)
    ),
    kafka=Kafka(canary_topic="canary"),
)


def flight(partition: int, leader: int | None, ms: float = 5.0, *, sent: int = 20, back: int | None = None) -> Flight:
    took = (ms,) * sent if leader is not None else ()
    return Flight(
        partition=partition,
        leader=leader,
        sent=sent if leader is not None else 0,
        acknowledged_ms=took,
        returned_ms=took[: sent if back is None else back],
    )


def refused(partition: int, leader: int, words: str = "NOT_ENOUGH_REPLICAS") -> Flight:
    return Flight(partition=partition, leader=leader, sent=20, refusals={words: 20} if words else {})


def codes(*flights: Flight, **more: object) -> dict[str, str]:
    return {
        f"{finding.code} {finding.object}": finding.severity.value
        for finding in judge_canary(FLEET, CanarySnapshot(topic="canary", flights=flights, **more))  # type: ignore[arg-type]
    }


CASES = {
    "all well": ((flight(0, 1), flight(1, 2), flight(2, 3)), {}),
    "one is slow beside the others": (
        (flight(0, 1), flight(1, 2, 60.0), flight(2, 3)),
        {"KAFKA_CANARY_SLOW broker/2": "warning"},
    ),
    "one takes five times as long, which is nothing": ((flight(0, 1, 2.0), flight(1, 2, 40.0), flight(2, 3, 2.0)), {}),
    "all take long, alike": ((flight(0, 1, 200.0), flight(1, 2, 210.0), flight(2, 3, 190.0)), {}),
    "all take too long": (
        (flight(0, 1, 501.0), flight(1, 2, 501.0)),
        {"KAFKA_CANARY_SLOW broker/1": "warning", "KAFKA_CANARY_SLOW broker/2": "warning"},
    ),
    "half of them quick, half of them held up once": (
        (flight(0, 1, 49.0), flight(3, 1, 300.0), flight(1, 2, 10.0), flight(2, 3, 10.0)),
        {},
    ),
    "one alone, quick": ((flight(0, 1),), {}),
    "one refuses": ((flight(0, 1), refused(1, 2)), {"KAFKA_CANARY_REFUSED broker/2": "critical"}),
    "one says nothing": ((flight(0, 1), refused(1, 2, "")), {"KAFKA_CANARY_REFUSED broker/2": "critical"}),
    "all refuse": ((refused(0, 1), refused(1, 2)), {"KAFKA_CANARY_REFUSED kafka": "critical"}),
    "no leader": ((flight(0, 1), flight(1, None)), {"KAFKA_CANARY_REFUSED kafka": "critical"}),
    "not back": ((flight(0, 1), flight(1, 2, back=19)), {"KAFKA_CANARY_LOST broker/2": "critical"}),
}


@pytest.mark.parametrize("name", CASES)
def test_a_flight(name: str) -> None:
    flights, found = CASES[name]
    assert codes(*flights) == found


def test_nothing_was_written() -> None:
    assert codes(flight(0, 1), dry_run=True) == {}
    assert codes(missing=True, failure="unknown topic") == {"KAFKA_TOPIC_MISSING topic/canary": "critical"}
    nowhere = msgspec.structs.replace(FLEET, kafka=Kafka())
    (finding,) = judge_canary(nowhere, CanarySnapshot(failure="the inventory names no canary topic"))
    assert (finding.code, finding.severity) == ("KAFKA_CANARY_REFUSED", Severity.UNKNOWN)


def test_a_broker_that_leads_nothing_has_a_row() -> None:
    rows = describe_canary(FLEET, CanarySnapshot(topic="canary", flights=(flight(0, 1),)))["brokers"]
    assert [(row["broker"], row["sent"], row["ack_p50_ms"]) for row in rows] == [
        (1, 20, 5.0),
        (2, 0, None),
        (3, 0, None),
    ]


@pytest.mark.parametrize(("share", "value"), [(0.5, 50.0), (0.99, 99.0), (1.0, 100.0), (0.0, 1.0)])
def test_a_percentile_is_the_nearest_rank(share: float, value: float) -> None:
    assert percentile([float(n) for n in range(1, 101)], share) == value
    assert percentile([7.0], share) == 7.0
    assert percentile([], share) is None


def test_a_canary_that_is_not_let_in_says_nothing_of_the_brokers() -> None:
    (finding,) = judge_canary(FLEET, CanarySnapshot(topic="canary", failure="Authentication failed", shut_out=True))
    assert (finding.code, finding.severity) == ("KAFKA_CANARY_REFUSED", Severity.UNKNOWN)


def test_a_canary_without_a_right_names_the_command_that_gives_it() -> None:
    (finding,) = judge_canary(FLEET, CanarySnapshot(topic="canary", failure="Topic authorization failed", denied=True))
    assert (finding.code, finding.severity) == ("KAFKA_ACL_MISSING", Severity.UNKNOWN)
    assert finding.hint == (
        "on node1: kafka-cli acls --bootstrap-server 198.18.0.11:9092 --add --allow-principal User:ANONYMOUS "
        "--operation Describe --operation Write --operation Read --topic canary"
    )
