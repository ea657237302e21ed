"""When a mute counts, on a clock of the test's own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from obsctl.core import mute
from obsctl.core.report import Cause, Finding, Severity
from obsctl.core.selection import Pattern

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LAG = Finding(code="KAFKA_LAG", severity=Severity.WARNING, object="group/a", summary="x")
MORE = Finding(code="KAFKA_LAG", severity=Severity.WARNING, object="group/b", summary="x")


def made(**sights: mute.Sight) -> mute.Mute:
    return mute.made(
        Pattern("KAFKA_LAG"), now=NOON, until=NOON + timedelta(minutes=30), reason="r", author="a", sights=sights
    )


def test_it_counts_until_its_end() -> None:
    one = made()
    for minutes, left in ((0, ()), (29, ()), (30, (LAG,))):
        heard = mute.applied([LAG], [], [one], command="health", now=NOON + timedelta(minutes=minutes))
        assert heard.findings == left


def test_a_clock_that_was_ahead_mutes_for_no_longer_than_was_asked() -> None:
    one = made()
    for minutes, left in ((-4, ()), (-6, (LAG,)), (-(60 * 24 * 365), (LAG,))):
        heard = mute.applied([LAG], [], [one], command="health", now=NOON + timedelta(minutes=minutes))
        assert heard.findings == left


def test_each_command_is_compared_with_itself() -> None:
    one = made(health=mute.sight([LAG], [], NOON))
    heard = mute.applied([LAG, MORE], [], [one], command="kafka status", now=NOON)
    assert heard.findings == (), "that command met both first"
    heard = mute.applied([LAG, MORE], [], heard.mutes, command="health", now=NOON)
    assert heard.findings == (LAG, MORE)


@pytest.mark.parametrize(("age", "known"), [(timedelta(minutes=59), True), (timedelta(minutes=61), False)])
def test_an_old_sight_is_none(age: timedelta, known: bool) -> None:
    assert bool(made(health=mute.sight([LAG], [], NOON - age)).extents) is known


def test_what_is_over_is_kept_for_a_day() -> None:
    end = NOON + timedelta(minutes=30)
    assert mute.current([made()], end + timedelta(hours=23))
    assert not mute.current([made()], end + timedelta(hours=25))


def test_one_finding_about_more_things_is_worse() -> None:
    """Kafka's finding about replicas has one object, the cluster, and counts partitions."""

    def behind(count: int) -> Finding:
        return Finding(
            code="KAFKA_LAG", severity=Severity.WARNING, object="kafka", summary="x", evidence={"count": count}
        )

    one = made(health=mute.sight([behind(3)], [], NOON))
    assert mute.applied([behind(2)], [], [one], command="health", now=NOON).findings == ()
    heard = mute.applied([behind(4)], [], [one], command="health", now=NOON)
    assert heard.findings == (behind(4),)
    assert heard.mutes[0].ended == "it counts 4, and it was 3 when it was muted"


def test_what_follows_from_muted_findings_alone_is_muted_with_them() -> None:
    def finding(code: str, object_: str, *causes: Finding) -> Finding:
        caused = tuple(Cause(cause.code, cause.object) for cause in causes)
        return Finding(code=code, severity=Severity.CRITICAL, object=object_, summary="x", caused_by=caused)

    down = finding("HEALTH_HOST_DOWN", "host/node2")
    other = finding("HEALTH_HOST_DOWN", "host/node3")
    broker = finding("KAFKA_BROKER_DOWN", "broker/2", down)
    behind = finding("KAFKA_UNDER_REPLICATED", "kafka", broker)
    stopped = finding("KAFKA_UNDER_MIN_ISR", "kafka", broker, other)
    one = mute.made(
        Pattern("HEALTH_HOST_DOWN", "host/node2"),
        now=NOON, until=NOON + timedelta(minutes=30), reason="gets a disk", author="anna", sights={},
    )  # fmt: skip
    heard = mute.applied([down, broker, behind, stopped, other], [], [one], command="health", now=NOON)
    assert heard.findings == (stopped, other), "what also follows from another fault decides"
    assert [(muted.code, muted.reason) for muted in heard.muted] == [
        ("HEALTH_HOST_DOWN", "gets a disk"),
        ("KAFKA_BROKER_DOWN", "gets a disk"),
        ("KAFKA_UNDER_REPLICATED", "gets a disk"),
    ]
