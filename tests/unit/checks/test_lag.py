"""What the groups' verdicts become: findings, rows and words."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from obsctl.checks.consumer.loss import StoredLoss
from obsctl.checks.kafka.snapshot import Broker
from obsctl.checks.lag import states
from obsctl.checks.lag.judge import describe_lag, judge_lag
from obsctl.checks.lag.retention import seconds
from obsctl.checks.lag.snapshot import EndLook, GroupTrack, LagSnapshot, PartitionTrack, PositionLook, PositionTrack
from obsctl.core.acknowledgement import made
from obsctl.core.report import Severity
from obsctl.fleet.model import Fleet, Host, KafkaNode

FLEET = Fleet(
    hosts=(
        Host(name="node1", address="198.18.0.11", groups=("kafka",), kafka=KafkaNode(node_id=1)),
        Host(name="app1", address="198.18.0.31", groups=("consumer",)),
    )
)
BROKER = Broker(node_id=1, host="node1", address="198.18.0.11:9092", answer_ms=3, registered=True, cluster_id="c")
ENDED_MS = 1_700_000_010_000


def track(first: int, last: int, **more: Any) -> PositionTrack:
    """A position over ten seconds."""
    step = (last - first) / 10
    looks = tuple(PositionLook(at=float(at), offset=round(first + at * step)) for at in range(11))
    return PositionTrack(**{"topic": "nginxlog", "partition": 0, "looks": looks, **more})


def partition(first: int, last: int, *, start: int = 0, behind: int = 0, **more: Any) -> PartitionTrack:
    """A partition over ten seconds; ``behind``: how far the high watermark is below the log's end."""
    step = (last - first) / 10
    looks = tuple(
        EndLook(at=at + 0.004, start=start, end=round(first + at * step), log_end=round(first + at * step) + behind)
        for at in range(11)
    )
    return PartitionTrack(**{"topic": "nginxlog", "partition": 0, "looks": looks, "retention_ms": 100_000, **more})


def group(name: str, *positions: PositionTrack, state: str = "Stable", **more: Any) -> GroupTrack:
    return GroupTrack(name=name, state=state, coordinator=1, positions=positions, **more)


def snapshot(*groups: GroupTrack, ends: PartitionTrack | None = None, **more: Any) -> LagSnapshot:
    parts = (ends if ends is not None else partition(1000, 1000),)
    seen = {"window_s": 10.0, "ended_ms": ENDED_MS, "history_s": 190.0, "brokers": (BROKER,), "partitions": parts}
    return LagSnapshot(**{**seen, "groups": groups, **more})


def found(seen: LagSnapshot) -> dict[str, Severity]:
    return {f"{finding.code} {finding.object}": finding.severity for finding in judge_lag(FLEET, seen)}


CASES = {
    "read": (snapshot(group("g", track(1000, 1000))), {}),
    "stopped": (snapshot(group("g", track(500, 500))), {"KAFKA_LAG_STOP group/g": Severity.WARNING}),
    "stalled": (
        snapshot(group("g", track(500, 500, commits=(1.0, 6.0)))),
        {"KAFKA_LAG_STALL group/g": Severity.WARNING},
    ),
    "rewound": (snapshot(group("g", track(500, 100))), {"KAFKA_LAG_REWIND group/g": Severity.WARNING}),
    "slow": (
        snapshot(group("g", track(500, 600)), ends=partition(1000, 2000)),
        {"KAFKA_LAG_SLOW group/g": Severity.WARNING},
    ),
    "beyond": (snapshot(group("g", track(5000, 5000))), {"KAFKA_LAG_BEYOND_END group/g": Severity.WARNING}),
    "held": (
        snapshot(group("g", track(1000, 1000)), ends=partition(1000, 1000, behind=15)),
        {"KAFKA_LAG_HELD kafka": Severity.WARNING},
    ),
    "held, which two groups show": (
        snapshot(group("a", track(1000, 1000)), group("b", track(1000, 1000)), ends=partition(1000, 1000, behind=15)),
        {"KAFKA_LAG_HELD kafka": Severity.WARNING},
    ),
    "foreign, without members (17)": (
        snapshot(group("analytics-foreign", track(500, 500), state="Empty")),
        {"KAFKA_GROUP_ABANDONED group/analytics-foreign": Severity.INFO},
    ),
    "foreign, without members, all read": (snapshot(group("foreign", track(1000, 1000), state="Empty")), {}),
    "ours, without members": (
        snapshot(group("obsctl-consumer", track(500, 500), state="Empty")),
        {"KAFKA_LAG_STOP group/obsctl-consumer": Severity.WARNING},
    ),
    "the alerter, which has none by design": (
        snapshot(group("obsctl-alerter", track(500, 520, commits=(-3.0, 2.0, 7.0)), state="Empty")),
        {},
    ),
    "before the log's start (B41)": (
        snapshot(group("g", track(100, 100)), ends=partition(1_000_000, 1_000_000, start=1_000_000)),
        {"KAFKA_UNREAD_EXPIRED group/g": Severity.WARNING},
    ),
    "about to be deleted": (
        snapshot(group("g", track(500, 900, record_ms=ENDED_MS - 80_000))),
        {"KAFKA_UNREAD_EXPIRING group/g": Severity.WARNING},
    ),
    "about to be deleted soon": (
        snapshot(group("g", track(500, 900, record_ms=ENDED_MS - 95_000))),
        {"KAFKA_UNREAD_EXPIRING group/g": Severity.CRITICAL},
    ),
    "old, and kept for ever": (
        snapshot(
            group("g", track(500, 900, record_ms=ENDED_MS - 95_000)), ends=partition(1000, 1000, retention_ms=None)
        ),
        {},
    ),
    "a share group has no positions": (snapshot(group("s", kind="share")), {}),
    "a topic that is gone": (snapshot(group("g", track(5, 5, topic="former"))), {}),
    "a loss": (
        snapshot(losses=(StoredLoss(topic="nginxlog", partition=0, lost=1427, at="2026-01-01T00:00:00Z"),)),
        {"CONSUMER_RECORDS_LOST topic/nginxlog": Severity.WARNING},
    ),
    "no broker answers": (
        snapshot(brokers=(msgspec.structs.replace(BROKER, failure="no answer in time"),)),
        {"KAFKA_UNREACHABLE kafka": Severity.CRITICAL},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_found(name: str) -> None:
    seen, expected = CASES[name]
    assert found(seen) == expected


def test_a_loss_that_was_taken_note_of_is_information_until_more_is_lost() -> None:
    loss = StoredLoss(topic="nginxlog", partition=0, lost=1427, at="2026-01-01T00:00:00Z")
    (finding,) = judge_lag(FLEET, snapshot(losses=(loss,)))
    taken = (made(finding, author="ann", reason="db1 was down", now=0.0),)
    assert found(snapshot(losses=(loss,), acknowledged=taken)) == {
        "CONSUMER_RECORDS_LOST topic/nginxlog": Severity.INFO
    }
    more = (loss, msgspec.structs.replace(loss, partition=1, lost=1))
    assert found(snapshot(losses=more, acknowledged=taken)) == {
        "CONSUMER_RECORDS_LOST topic/nginxlog": Severity.WARNING
    }


def test_the_numbers_of_a_group() -> None:
    seen = snapshot(group("g", track(500, 700, record_ms=ENDED_MS - 42_000)), ends=partition(900, 1000))
    (row,) = describe_lag(FLEET, seen)["groups"]
    assert {key: row[key] for key in ("verdict", "lag", "produced", "consumed", "behind_s", "eta_s", "gone")} == {
        "verdict": "ok", "lag": 300, "produced": 10.0, "consumed": 20.0, "behind_s": 42, "eta_s": 30, "gone": 0,
    }  # fmt: skip
    assert row["expires_in_s"] == 58


def test_how_old_by_the_pace_where_no_timestamp_is_known() -> None:
    seen = snapshot(group("g", track(500, 700)), ends=partition(1000, 1000))
    (row,) = describe_lag(FLEET, seen)["groups"]
    assert (row["behind_s"], row["expires_in_s"]) == (15, None)


def test_a_group_is_as_bad_as_its_worst_partition() -> None:
    other = track(1000, 1000, partition=1)
    seen = snapshot(group("g", track(500, 500), other))
    both = msgspec.structs.replace(seen, partitions=(*seen.partitions, partition(1000, 1000, partition=1)))
    data = describe_lag(FLEET, both)
    assert data["groups"][0]["verdict"] == "stop"
    assert data["groups"][0]["eta_s"] is None
    assert [row["name"] for row in data["lagging"]] == ["nginxlog/0"]
    assert [row["name"] for row in data["partitions"]] == ["nginxlog/0", "nginxlog/1"]


@pytest.mark.parametrize(
    ("name", "state", "kind", "words"),
    [
        ("obsctl-alerter", "Empty", "classic", "no members by design"),
        ("obsctl-alerter-active", "Stable", "classic", "the active alerter"),
        ("obsctl-alerter-active", "Empty", "classic", "no alerter is running"),
        ("obsctl-consumer", "Empty", "classic", "the consumer is not running"),
        ("obsctl-consumer", "Stable", "classic", ""),
        ("foreign", "Empty", "", "no members"),
        ("foreign", "PreparingRebalance", "", "sharing out"),
        ("s", "Stable", "share", "share the records"),
        ("s", "Stable", "streams", "Kafka Streams"),
    ],
)
def test_a_state_in_words(name: str, state: str, kind: str, words: str) -> None:
    found = states.in_words(FLEET, name, state, kind)
    assert words in found
    assert bool(words) == bool(found)


@pytest.mark.parametrize(
    ("span", "words"), [(0.4, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (172_800, "2 d")]
)
def test_a_span_of_time(span: float, words: str) -> None:
    assert seconds(span) == words
