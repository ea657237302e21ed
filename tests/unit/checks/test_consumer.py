"""The consumer's positions against the topics, its days and its notices."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from tests.unit.render.snapshots import CONSUMER_FLEET as FLEET
from tests.unit.render.snapshots import CONSUMER_HELD, CONSUMER_WELL

from obsctl.checks.consumer.judge import describe_consumer, judge_consumer, judge_replay
from obsctl.checks.consumer.snapshot import ConsumerSnapshot, StoredSource, TableDays
from obsctl.core.report import Severity
from obsctl.fleet.model import Fleet


def _codes(snapshot: ConsumerSnapshot, fleet: Fleet = FLEET) -> dict[str, Severity]:
    return {finding.code: finding.severity for finding in judge_consumer(fleet, snapshot)}


def _with_source(**changes: Any) -> ConsumerSnapshot:
    """The healthy one, with another first source."""
    store = CONSUMER_WELL.store
    assert store is not None
    first, *others = store.sources
    sources = (msgspec.structs.replace(first, **changes), *others)
    return msgspec.structs.replace(CONSUMER_WELL, store=msgspec.structs.replace(store, sources=sources))


def test_all_is_well() -> None:
    assert _codes(CONSUMER_WELL) == {"HEALTH_QUARANTINE": Severity.INFO}


@pytest.mark.parametrize(
    ("changes", "code", "severity"),
    [
        ({"next_offset": 34_001}, "CONSUMER_POSITION_BEYOND_END", Severity.CRITICAL),
        ({"next_offset": 999}, "CONSUMER_POSITION_GONE", Severity.WARNING),
        ({"next_offset": 33_000, "moved_s": 301}, "CONSUMER_BEHIND", Severity.WARNING),
    ],
)
def test_a_position(changes: dict[str, Any], code: str, severity: Severity) -> None:
    assert _codes(_with_source(**changes)).get(code) is severity


@pytest.mark.parametrize("changes", [{"next_offset": 33_000}, {"moved_s": 9000}, {"next_offset": 0}])
def test_a_position_that_is_well(changes: dict[str, Any]) -> None:
    """On its way; with nothing to read; at the beginning of a topic that was never read."""
    assert set(_codes(_with_source(**changes))) == {"HEALTH_QUARANTINE"}


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (7, ""),
        (2, ""),
        (1, "for the next 1 days only"),
        (0, "today's partition is the last one"),
        (-3, "the newest day partition is 3 days old"),
        (None, "no day has a partition of its own"),
    ],
)
def test_days_ahead(days: int | None, words: str) -> None:
    store = msgspec.structs.replace(
        CONSUMER_WELL.store, tables=(TableDays(table="access_log", days_ahead=days, beyond_rows=0),)
    )
    findings = judge_consumer(FLEET, msgspec.structs.replace(CONSUMER_WELL, store=store))
    found = [finding.summary for finding in findings if finding.code == "CONSUMER_DAYS_MISSING"]
    assert len(found) == bool(words)
    assert all(words in summary for summary in found)


def test_only_the_present_source_of_a_partition_counts() -> None:
    """A topic that was created again, and a cluster that is no more, leave sources that never move again."""
    store = CONSUMER_WELL.store
    assert store is not None
    first = store.sources[0]
    former = [
        msgspec.structs.replace(first, source_id=90, next_offset=9000, cluster_id="theOneBefore"),
        StoredSource(
            source_id=0, cluster_id=first.cluster_id, topic=first.topic, partition=first.partition, topic_id="deleted",
            next_offset=9000, newest_event=None, event_age_s=None, moved_s=99_999,
        ),
    ]  # fmt: skip
    seen = msgspec.structs.replace(
        CONSUMER_WELL, store=msgspec.structs.replace(store, sources=(*former, *store.sources))
    )
    assert _codes(seen) == _codes(CONSUMER_WELL)
    data = describe_consumer(FLEET, seen)
    assert data["positions"] == describe_consumer(FLEET, CONSUMER_WELL)["positions"]
    assert data["summary"]["former_sources"] == 2


def test_a_held_partition_and_a_notice() -> None:
    codes = _codes(CONSUMER_HELD)
    assert codes["HEALTH_CONSUMER_WAITING"] is Severity.CRITICAL
    assert codes["CONSUMER_POSITION_BEYOND_END"] is Severity.CRITICAL
    assert codes["CONSUMER_NOTICE"] is Severity.INFO


def test_the_dead_letter_topic_is_the_one_that_the_consumer_names() -> None:
    (host,), kafka = CONSUMER_WELL.hosts, CONSUMER_WELL.kafka
    assert host.consumer is not None
    assert kafka is not None
    letters = msgspec.structs.replace(kafka.partitions[0], topic="refused", start=4, hw=11)
    kafka = msgspec.structs.replace(kafka, partitions=(*kafka.partitions, letters))
    for name, expected in (("refused", 7), (None, None), ("nowhere", None)):
        named = msgspec.structs.replace(host, consumer=msgspec.structs.replace(host.consumer, dead_letter_topic=name))
        seen = msgspec.structs.replace(CONSUMER_WELL, hosts=(named,), kafka=kafka)
        assert describe_consumer(FLEET, seen)["summary"]["dead_letters"] == expected


def test_a_snapshot_survives_json() -> None:
    """As --save-snapshot writes it, and --from-file reads it."""
    assert msgspec.json.decode(msgspec.json.encode(CONSUMER_HELD), type=ConsumerSnapshot) == CONSUMER_HELD


def test_what_has_no_answer_is_unknown() -> None:
    assert _codes(ConsumerSnapshot(), Fleet())["HEALTH_LAYER_NOT_ASKED"] is Severity.UNKNOWN
    silent = msgspec.structs.replace(CONSUMER_WELL, kafka=None)
    data = describe_consumer(FLEET, silent)
    assert {row["lag"] for row in data["positions"]} == {None}
    assert data["summary"]["lag"] is None


def test_a_replay() -> None:
    lines = {"stays": {}, "cut": 0}
    assert judge_replay(lines, "obs") == []
    found = judge_replay({"stays": {"parse": 3, "time": 1}, "cut": 2}, "obs")
    assert [(f.code, f.severity) for f in found] == [
        ("CONSUMER_REPLAY_STAYS", Severity.WARNING),
        ("CONSUMER_REPLAY_CUT", Severity.WARNING),
    ]
    assert found[0].summary == "4 lines stay: 3 parse, 1 time"
    for finding in found:
        assert re.search(r"on the database's host: mysql obs -e 'SELECT [^']+'$", finding.hint)
