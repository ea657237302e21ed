"""Counters, troubles and notices of a process."""

from __future__ import annotations

import msgspec
import pytest

from obsctl.consumer import telemetry as module
from obsctl.consumer.telemetry import Counters, PartitionState, Report, Telemetry
from obsctl.store.batch import Batch
from obsctl.store.interface import Outcome
from tests.unit.consumer.doubles import PART


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


def test_a_trouble_is_news_once(telemetry: Telemetry) -> None:
    assert telemetry.trouble("kafka", "away")
    assert not telemetry.trouble("kafka", "away")
    assert telemetry.trouble("kafka", "otherwise away")
    assert telemetry.clear("kafka")
    assert not telemetry.clear("kafka")


def test_a_trouble_is_bounded(telemetry: Telemetry) -> None:
    telemetry.trouble("database", "x" * 100_000)
    assert len(telemetry.report({})) < 3000


def test_a_trouble_keeps_its_beginning_while_its_words_change(telemetry: Telemetry) -> None:
    telemetry.trouble("kafka", "away")
    began = telemetry.troubles["kafka"].since
    telemetry.trouble("kafka", "otherwise away", "look")
    assert telemetry.troubles["kafka"] == module.Note("otherwise away", "look", began)


def test_a_notice_is_kept_for_a_day(telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_767_225_600.0
    monkeypatch.setattr(module.time, "time", lambda: now)
    assert telemetry.notice("nginxlog", "created again")
    assert not telemetry.notice("nginxlog", "created again")
    now += 24 * 3600
    assert "nginxlog" in telemetry.notices()
    now += 1
    assert telemetry.notices() == {}


def test_a_notice_has_the_time_of_its_event(telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a restart the consumer comes upon the same again: it is as old as it was, and no news after a day."""
    now = 1_767_225_600.0
    monkeypatch.setattr(module.time, "time", lambda: now)
    assert telemetry.notice("nginxlog", "created again", since=now - 3600)
    assert telemetry.notices()["nginxlog"].since == "2025-12-31T23:00:00+00:00"
    now += 23 * 3600 + 1
    assert telemetry.notices() == {}
    assert not telemetry.notice("nginxlog", "created again", since=1_767_225_600.0 - 3600)
    assert telemetry.notice("nginxlog-error", "created again", since=now + 60)
    assert telemetry.notices()["nginxlog-error"].since == "2026-01-01T23:00:01+00:00", "a clock that is ahead"


def test_a_report_holds_what_is_known_of_each_partition(telemetry: Telemetry) -> None:
    telemetry.positions = {PART._replace(partition=1): None, PART: 95}
    report = msgspec.json.decode(telemetry.report({PART: 100}), type=Report)
    assert report.partitions == [PartitionState("nginxlog", 0, 95, 100), PartitionState("nginxlog", 1, None, None)]
    assert [part.lag for part in report.partitions] == [5, None]


def test_the_counts_of_several_processes_add_up() -> None:
    total = Counters(stored=1, by_reason={"parse": 1})
    total.add(Counters(stored=2, quarantined=3, by_reason={"parse": 2, "time": 1}, cpu_seconds=0.5))
    assert (total.stored, total.records, total.by_reason, total.cpu_seconds) == (3, 6, {"parse": 3, "time": 1}, 0.5)


def test_a_row_that_was_known_before_is_no_new_row(telemetry: Telemetry) -> None:
    telemetry.stored(Batch({}, {}), Outcome(stored=0, quarantined=0, known=4, refused=0, attempts=1), 0.01)
    assert telemetry.last_commit is not None
    assert telemetry.last_row is None
