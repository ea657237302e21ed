"""The consumer's positions against the topics, its days and its notices."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from tests.unit.render.snapshots import CONSUMER_FLEET as FLEET
from tests.unit.render.snapshots import CONSUMER_HELD, CONSUMER_WELL

from obsctl.checks.consumer.judge import describe_consumer, judge_consumer, judge_replay
from obsctl.checks.consumer.loss import StoredLoss
from obsctl.checks.consumer.snapshot import ConsumerSnapshot, LastKnown, StoredSource, StoreProbe, TableDays
from obsctl.checks.consumer.tables import CONSUMER_LAYOUTS
from obsctl.cli.reporting import Start
from obsctl.core.acknowledgement import made
from obsctl.core.report import Severity
from obsctl.fleet.model import Fleet
from obsctl.render import render


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
        (None, "there are no day partitions"),
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


def _with_partition(snapshot: ConsumerSnapshot, earlier: int | None = None, **changes: Any) -> ConsumerSnapshot:
    """The snapshot with another first partition; ``earlier``: the high watermark a second before."""
    kafka = snapshot.kafka
    assert kafka is not None
    first, *others = kafka.partitions
    now = msgspec.structs.replace(first, **changes)
    before = msgspec.structs.replace(now, hw=earlier) if earlier is not None else first
    return msgspec.structs.replace(
        snapshot,
        kafka=msgspec.structs.replace(kafka, partitions=(now, *others)),
        before=msgspec.structs.replace(kafka, partitions=(before, *others)),
    )


def test_what_is_written_and_cannot_be_read_yet_is_a_lag() -> None:
    """Two of three brokers are dead: the log grows, but the high watermark does not, so nothing more can be read."""
    held = _with_partition(CONSUMER_WELL, earlier=34_000, leo={1: 34_015, 2: 34_000, 3: None})
    first = describe_consumer(FLEET, held)["positions"][0]
    assert (first["position"], first["end"], first["lag"], first["behind_s"]) == (34_000, 34_015, 15, 2)
    assert _codes(held)["KAFKA_LAG_HELD"] is Severity.WARNING


def test_what_is_on_its_way_to_the_followers_is_not_held() -> None:
    assert "KAFKA_LAG_HELD" not in _codes(_with_partition(CONSUMER_WELL, earlier=33_990, leo={1: 34_015}))


def test_a_position_of_a_topic_that_was_created_again_is_judged_by_its_id() -> None:
    """In the seconds before the consumer notices: no mention of a snapshot, and no reset."""
    remade = _with_partition(_with_source(next_offset=13), topic_id="another", start=0, hw=3, leo={1: 3, 2: 3, 3: 3})
    found = {finding.code: finding for finding in judge_consumer(FLEET, remade)}
    assert "CONSUMER_POSITION_BEYOND_END" not in found
    assert found["CONSUMER_TOPIC_REMADE"].severity is Severity.WARNING
    assert "reset" not in found["CONSUMER_TOPIC_REMADE"].hint
    assert describe_consumer(FLEET, remade)["positions"][0]["lag"] == 3, "all of the new topic waits"


def test_what_the_retention_deleted_is_no_lag() -> None:
    """B41 with a position in the database."""
    phantom = _with_partition(_with_source(next_offset=100), start=34_000)
    assert describe_consumer(FLEET, phantom)["positions"][0]["lag"] == 0
    assert "CONSUMER_POSITION_GONE" in _codes(phantom)


def test_without_the_database_the_last_known_positions_are_shown_with_their_age() -> None:
    silent = msgspec.structs.replace(
        CONSUMER_WELL,
        store=StoreProbe(failure="connection refused"),
        last_known=(
            LastKnown(topic="nginxlog", partition=0, next_offset=33_500, known_by="consumer", age_s=12),
            LastKnown(topic="nginxlog", partition=1, next_offset=33_000, known_by="group"),
        ),
    )
    data = describe_consumer(FLEET, silent)
    assert data["positions"] == []
    assert [(row["name"], row["lag"], row["known_by"], row["age_s"]) for row in data["last_positions"]] == [
        ("nginxlog/0", 500, "consumer", 12),
        ("nginxlog/1", 1_000, "group", None),
    ]
    assert (data["summary"]["lag"], data["summary"]["positions_from"]) == (1_500, "last known")
    assert _codes(silent)["HEALTH_DATABASE_DOWN"] is Severity.CRITICAL


def test_a_loss_is_a_warning_until_it_is_acknowledged() -> None:
    loss = StoredLoss(topic="nginxlog", partition=0, lost=1427, at="2026-01-01T00:00:00Z")
    lossy = msgspec.structs.replace(CONSUMER_WELL, store=msgspec.structs.replace(CONSUMER_WELL.store, losses=(loss,)))
    finding = next(f for f in judge_consumer(FLEET, lossy) if f.code == "CONSUMER_RECORDS_LOST")
    assert (finding.severity, finding.evidence["lost"]) == (Severity.WARNING, 1427)
    taken = made(finding, author="ann", reason="db1 was down", now=0.0)
    assert _codes(msgspec.structs.replace(lossy, acknowledged=(taken,)))["CONSUMER_RECORDS_LOST"] is Severity.INFO


def test_nine_partitions_fit_a_small_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """80 columns: a line a partition, and no time with microseconds."""
    monkeypatch.setenv("COLUMNS", "80")
    store, kafka = CONSUMER_WELL.store, CONSUMER_WELL.kafka
    assert store is not None
    assert kafka is not None
    parts = [("nginxlog", n) for n in range(6)] + [("nginxlog-error", n) for n in range(3)]
    sources = [
        msgspec.structs.replace(store.sources[0], topic=t, partition=n, source_id=at, next_offset=9_123_456_789)
        for at, (t, n) in enumerate(parts)
    ]
    ends = [
        msgspec.structs.replace(kafka.partitions[0], topic=t, partition=n, hw=9_123_456_799, leo={}) for t, n in parts
    ]
    seen = msgspec.structs.replace(
        CONSUMER_WELL,
        store=msgspec.structs.replace(store, sources=tuple(sources)),
        kafka=msgspec.structs.replace(kafka, partitions=tuple(ends)),
    )
    report = Start().report("consumer status", describe_consumer(FLEET, seen), judge_consumer(FLEET, seen))
    text = render(report, "table", CONSUMER_LAYOUTS)
    section = text[text.index("Positions") :].split("\n\n")[0].splitlines()
    assert len(section) == 11, section
    assert not re.search(r":\d\d\.\d", text[text.index("Positions") :])
