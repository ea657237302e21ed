"""How what the unit's processes know is put together."""

from __future__ import annotations

import pytest

from obsctl.consumer.telemetry import Telemetry
from obsctl.core.consumer_page import Note
from tests.unit.consumer.unit.builders import busy, reported, unit, worker


@pytest.fixture
def telemetry() -> Telemetry:
    return busy()


def test_counts_are_those_of_all_workers_and_survive_a_restart(telemetry: Telemetry) -> None:
    seen = unit(worker(0, reported(telemetry)), worker(1, reported(telemetry)), worker(2, None, "restarting"))
    assert seen.counters.stored == 3 * 1000 + 2 * 8
    assert seen.counters.by_reason == {"parse": 2}
    assert sum(seen.counters.commit.buckets) == 2


def test_a_partition_belongs_to_the_worker_that_is_heard(telemetry: Telemetry) -> None:
    seen = unit(worker(0, reported(telemetry)), worker(1, reported(telemetry), "silent"))
    assert [(placed.worker, placed.progress.lag) for placed in seen.partitions] == [(0, 5), (0, None)]


def test_a_trouble_of_several_is_reported_once_since_its_beginning() -> None:
    early, late = Telemetry(), Telemetry()
    for telemetry, since in ((late, "2026-01-02"), (early, "2026-01-01")):
        telemetry.trouble("database", since)
        telemetry.troubles["database"] = Note(since, "look", since)
    seen = unit(worker(0, reported(late)), worker(1, reported(early)))
    assert seen.troubles == {"database": Note("2026-01-01", "look", "2026-01-01")}
    assert seen.database_up is False


def test_of_notices_of_one_subject_the_youngest_counts() -> None:
    first, second = Telemetry(), Telemetry()
    first.notice("nginxlog", "older")
    second.notice("nginxlog", "younger")
    reports = [reported(first), reported(second)]
    reports[0].notices["nginxlog"] = Note("older", "", "2026-01-01")
    reports[1].notices["nginxlog"] = Note("younger", "", "2026-01-02")
    for order in (reports, reports[::-1]):
        seen = unit(*(worker(number, report) for number, report in enumerate(order)))
        assert seen.notices["nginxlog"].message == "younger"


def test_the_supervisors_own_troubles_count() -> None:
    own = Telemetry()
    own.trouble("upkeep", "the tables have not been checked yet")
    seen = unit(worker(0, reported(Telemetry())), own=own)
    assert (seen.status, seen.troubles.keys()) == ("waiting", {"upkeep"})


def test_whether_the_database_answers_is_known_from_workers_that_are_heard() -> None:
    away = Telemetry()
    away.trouble("database", "away")
    assert unit(worker(0, reported(away), "silent")).database_up is None
    assert unit(worker(0, reported(away)), worker(1, reported(Telemetry()))).database_up is False
    assert unit(worker(0, reported(Telemetry()))).database_up is True
