"""Records that the retention will delete unread, from a single look: about which that is asked, and what is said."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.unit.checks.kafka_cluster import FLEET, HEALTHY, but, partition
from tests.unit.checks.test_kafka_views import answers, view

from obsctl.checks.health.judge import judge_health
from obsctl.checks.health.snapshot import HealthSnapshot
from obsctl.checks.kafka.ages import near_retention
from obsctl.checks.kafka.collect import BrokerAnswers
from obsctl.checks.kafka.judge import judge_cluster
from obsctl.checks.kafka.snapshot import Aged, Committed, Group, KafkaSnapshot, TopicSettings
from obsctl.core.report import Finding, Severity

KEY = ("t", 0)
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def _answered(
    offset: int, *, settled: int = 50, start: int = 0, group: str = "g", **settings: str
) -> list[BrokerAnswers]:
    """Return what two brokers answered: 1 leads a partition of 100 records, 2 knows a group's position in it."""
    leader = answers(1, listed={}, views=[view(1, 5, (1, 2))], leo={KEY: 100}, sampled_at=10.0)
    leader.hw, leader.start, leader.settled = {KEY: 100}, {KEY: start}, {KEY: settled}
    leader.settings = {"t": {"retention.ms": str(DAY_MS), "cleanup.policy": "delete", **settings}}
    coordinator = answers(2, listed={}, views=[view(1, 5, (1, 2))], leo={}, sampled_at=10.0)
    committed = (Committed(topic="t", partition=0, offset=offset),)
    coordinator.groups = [Group(name=group, state="Stable", coordinator=2, committed=committed)]
    return [leader, coordinator]


@pytest.mark.parametrize(
    ("answered", "asked"),
    [
        (_answered(20), {KEY: DAY_MS}),
        # All is read, or all that is older than a few minutes: a cluster whose groups keep up is asked nothing.
        (_answered(100), {}),
        (_answered(50), {}),
        (_answered(99), {}),
        # What the retention has deleted already is no record to read.
        (_answered(20, start=100), {}),
        (_answered(20, start=60), {}),
        # A few minutes are most of a short retention.
        (_answered(99, **{"retention.ms": "60000"}), {KEY: 60_000}),
        (_answered(20, **{"retention.ms": "-1"}), {}),
        (_answered(20, **{"cleanup.policy": "compact"}), {}),
        (_answered(20, **{"cleanup.policy": "compact,delete"}), {KEY: DAY_MS}),
        (_answered(20, group="abandoned"), {}),
        # Without the leader's answer nothing is known of what there is.
        (_answered(20)[1:], {}),
    ],
)
def test_what_may_be_near_the_retention_is_asked_about(
    answered: list[BrokerAnswers], asked: dict[tuple[str, int], int]
) -> None:
    assert near_retention(answered, {"abandoned"}) == asked


def _seen(offset: int = 20, *, older: int = 100, share: float = 0.75, **group: Any) -> KafkaSnapshot:
    """Return a cluster with a group at ``offset``; what lies before ``older`` has lived for ``share`` of a day."""
    ages = [Aged(age_ms=round(part * DAY_MS), offset=older if part <= share else 0) for part in (0.75, 0.9, 1.0)]
    values = {"name": "obsctl-consumer", "state": "Stable", "coordinator": 1, **group}
    committed = (Committed(topic="nginxlog", partition=0, offset=offset),)
    return but(
        partitions=(partition(0, aged=tuple(ages)), *HEALTHY.partitions[1:]),
        settings={"nginxlog": TopicSettings(retention_ms=DAY_MS, cleanup="delete")},
        groups=(Group(**values, committed=committed),),
    )


def _found(seen: KafkaSnapshot) -> Finding | None:
    return next((one for one in judge_cluster(FLEET, seen) if one.code == "KAFKA_UNREAD_EXPIRING"), None)


@pytest.mark.parametrize(
    ("seen", "severity", "words"),
    [
        (_seen(), Severity.WARNING, "the first ones within 6 h: 80 records in nginxlog/0"),
        (_seen(share=0.9), Severity.CRITICAL, "the first ones within 2 h: 80 records in nginxlog/0"),
        (
            _seen(share=1.0),
            Severity.CRITICAL,
            "the first ones at Kafka's next retention check: 80 records in nginxlog/0",
        ),
        # What is not read is younger.
        (_seen(older=20), None, ""),
        (_seen(share=0.0), None, ""),
        (_seen(offset=100), None, ""),
        # A foreign backlog; ours counts even without members.
        (_seen(name="foreign", state="Empty"), None, ""),
        (_seen(name="foreign"), Severity.WARNING, "within 6 h"),
        (_seen(state="Empty"), Severity.WARNING, "within 6 h"),
        # Not asked: the leader was silent, or the group keeps up.
        (msgspec.structs.replace(_seen(), partitions=HEALTHY.partitions), None, ""),
        (msgspec.structs.replace(_seen(), settings={}), None, ""),
    ],
)
def test_one_look_tells_what_is_about_to_be_lost(seen: KafkaSnapshot, severity: Severity | None, words: str) -> None:
    found = _found(seen)
    assert (found.severity if found else None) == severity
    assert words in (found.summary if found else "")


def test_health_says_it_too() -> None:
    found = {finding.code: finding for finding in judge_health(FLEET, HealthSnapshot(kafka=_seen(share=0.9)))}
    assert found["KAFKA_UNREAD_EXPIRING"].evidence == {
        "left_at_most_s": 8640,
        "lag": 80,
        "partitions": {"nginxlog/0": 8640},
    }
