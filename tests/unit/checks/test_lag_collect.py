"""What brokers, database and commits answered, put together."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from obsctl.checks.consumer.collect import _age_s, _last_known
from obsctl.checks.consumer.snapshot import StoredSource
from obsctl.checks.health.snapshot import HostProbe
from obsctl.checks.kafka.snapshot import Committed, Group, KafkaSnapshot
from obsctl.checks.lag.collect import _Commits, _Looks, _Stored, assemble
from obsctl.checks.lag.snapshot import EndLook, LagSnapshot, PositionLook
from obsctl.core.consumer_page import ConsumerPage, PartitionOnPage
from obsctl.fleet.model import Fleet, Host, KafkaNode
from obsctl.kafka.partition import TopicPartition

HOSTS = tuple(
    Host(name=f"node{i}", address=f"198.18.0.1{i}", groups=("kafka",), kafka=KafkaNode(node_id=i)) for i in (1, 2)
)
FLEET = Fleet(hosts=HOSTS)
PART = TopicPartition("nginxlog", 0)
BEGIN = 1_700_000_000.0


def broker(node: int, **more: Any) -> _Looks:
    return _Looks(**{"node_id": node, "failure": "", "cluster_id": "c", "ids": {PART: "now"}, **more})


def leader() -> _Looks:
    return broker(1, ends={PART: [EndLook(at=0.0, start=0, end=100, log_end=100)]}, retention={"nginxlog": 1000})


def coordinator(failure: str = "") -> _Looks:
    return broker(
        2,
        failure=failure,
        groups={"obsctl-consumer": ("classic", "Stable"), "other": ("", "Empty")},
        positions={name: {PART: [PositionLook(at=0.1, offset=40)]} for name in ("obsctl-consumer", "other")},
    )


def source(**more: Any) -> StoredSource:
    given = {
        "source_id": 1, "cluster_id": "c", "topic": "nginxlog", "partition": 0, "topic_id": "now", "next_offset": 60,
        "newest_event": None, "event_age_s": None, "moved_s": 3,
    }  # fmt: skip
    return StoredSource(**{**given, **more})


def together(*looks: _Looks, stored: _Stored | None = None, groups: tuple[str, ...] = ()) -> LagSnapshot:
    commits = _Commits(known=True, at={("other", PART): [BEGIN - 5, BEGIN + 2]})
    return assemble(FLEET, HOSTS, looks, stored or _Stored(), commits, window_s=10.0, begin=BEGIN, groups=groups)


def test_positions_of_one_broker_meet_the_ends_of_another() -> None:
    seen = together(leader(), coordinator())
    assert [group.name for group in seen.groups] == ["obsctl-consumer", "other"]
    assert [track.looks[0].offset for track in seen.groups[1].positions] == [40]
    assert seen.groups[1].positions[0].commits == (-5.0, 2.0)
    assert [(track.topic, track.retention_ms, len(track.looks)) for track in seen.partitions] == [("nginxlog", 1000, 1)]
    assert (seen.errors, seen.ended_ms) == ((), 1_700_000_010_000)


def test_the_consumers_positions_are_those_of_the_database() -> None:
    stored = _Stored(asked=True, looks=[(0.0, (source(),)), (9.0, (source(next_offset=70),))])
    ours = together(leader(), coordinator(), stored=stored).groups[0]
    assert (ours.positions_in, ours.state) == ("database", "Stable")
    assert [look.offset for look in ours.positions[0].looks] == [60, 70]
    assert ours.positions[0].moved_s == 3.0


@pytest.mark.parametrize(
    "sources",
    [
        (source(cluster_id="former", next_offset=9), source(source_id=2)),
        (source(topic_id="former", next_offset=9), source(source_id=2)),
    ],
)
def test_only_the_present_source_counts(sources: tuple[StoredSource, ...]) -> None:
    stored = _Stored(asked=True, looks=[(0.0, sources)])
    (track,) = together(leader(), coordinator(), stored=stored).groups[0].positions
    assert [look.offset for look in track.looks] == [60]


def test_a_position_of_a_former_topic_says_nothing_of_the_present_one() -> None:
    stored = _Stored(asked=True, looks=[(0.0, (source(topic_id="former"),))])
    assert together(leader(), coordinator(), stored=stored).groups[0].positions == ()


def test_a_database_that_fails_in_the_window_leaves_what_was_committed() -> None:
    stored = _Stored(asked=True, failure="connection refused", looks=[(0.0, (source(),))])
    seen = together(leader(), coordinator(), stored=stored)
    assert (seen.groups[0].positions_in, seen.database) == ("group", "connection refused")


def test_ends_that_no_broker_said_are_missing_data() -> None:
    seen = together(broker(1, failure="no answer in time"), coordinator())
    (fault,) = seen.errors
    assert (fault.code, fault.object) == ("KAFKA_ANSWER_CUT", "broker/1")
    assert "the ends of nginxlog/0" in fault.summary


def test_a_silent_broker_that_nothing_depends_on_costs_nothing() -> None:
    both = broker(
        1, ends=leader().ends, groups={"g": ("", "Stable")}, positions={"g": {PART: [PositionLook(at=0.1, offset=1)]}}
    )
    assert together(both, broker(2, failure="no answer in time")).errors == ()


def test_a_group_whose_broker_is_silent_is_missing_data() -> None:
    seen = together(leader(), coordinator(failure="no answer in time"), groups=("other",))
    assert [fault.code for fault in seen.errors] == ["KAFKA_ANSWER_CUT"]


def test_positions_as_the_consumer_knows_them_come_before_those_that_it_committed() -> None:
    page = ConsumerPage(
        last_commit_at="2026-01-01T00:00:00+00:00",
        partitions=(
            PartitionOnPage(topic="nginxlog", partition=0, next_offset=70),
            PartitionOnPage(topic="nginxlog", partition=1, next_offset=None),
        ),
    )
    committed = tuple(Committed(topic="nginxlog", partition=number, offset=60) for number in (0, 1))
    kafka = KafkaSnapshot(groups=(Group(name="obsctl-consumer", state="Stable", coordinator=1, committed=committed),))
    found = list(_last_known(FLEET, [HostProbe(name="app1", consumer=page)], kafka))
    assert [(one.partition, one.next_offset, one.known_by) for one in found] == [(0, 70, "consumer"), (1, 60, "group")]
    assert found[1].age_s is None


@pytest.mark.parametrize(
    ("moment", "age"), [("2026-01-01T00:00:00+00:00", 12), ("2027-01-01T00:00:00+00:00", 0), (None, None), ("?", None)]
)
def test_how_old_a_moment_of_a_page_is(moment: str | None, age: int | None) -> None:
    assert _age_s(moment, datetime(2026, 1, 1, 0, 0, 12, tzinfo=UTC)) == age
