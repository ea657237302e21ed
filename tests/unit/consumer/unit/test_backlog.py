"""For how long the oldest record that is not stored has been waiting."""

from __future__ import annotations

from obsctl.consumer.telemetry import PartitionState
from obsctl.consumer.unit.backlog import Backlog


def look(backlog: Backlog, now: float, *parts: tuple[int | None, int | None]) -> float | None:
    """Show partitions as (next offset, end), and return the age right afterwards."""
    backlog.look([PartitionState("nginxlog", number, *part) for number, part in enumerate(parts)], now)
    return backlog.age_s(now)


def test_nothing_is_known_without_partitions() -> None:
    assert Backlog().age_s(5) is None
    assert look(Backlog(), 5) is None


def test_a_consumer_that_keeps_up_is_not_behind_however_quiet_the_topic() -> None:
    backlog = Backlog()
    assert [look(backlog, second, (second, second), (7, 7)) for second in range(0, 5000, 100)] == [0] * 50


def test_a_record_waits_from_the_moment_its_partition_was_seen_to_have_it() -> None:
    backlog = Backlog()
    look(backlog, 0, (10, 10))
    assert look(backlog, 2, (10, 20)) == 0
    assert look(backlog, 32, (10, 30)) == 30
    assert backlog.age_s(40) == 38
    assert look(backlog, 42, (15, 30)) == 40, "one of the first ten still waits"
    assert look(backlog, 44, (20, 30)) == 12, "those that were seen at 32 wait"
    assert look(backlog, 46, (30, 30)) == 0


def test_the_oldest_of_all_partitions_counts() -> None:
    backlog = Backlog()
    look(backlog, 0, (0, 0), (0, 5))
    assert look(backlog, 60, (60, 60), (0, 5)) == 60


def test_a_backlog_at_the_start_counts_from_the_first_look() -> None:
    backlog = Backlog()
    assert look(backlog, 100, (0, 1_000_000)) == 0
    assert look(backlog, 160, (10, 1_000_000)) == 60


def test_a_silent_worker_stores_nothing_as_far_as_one_can_see() -> None:
    backlog = Backlog()
    look(backlog, 0, (10, 12))
    assert look(backlog, 60, (None, None)) == 60


def test_a_partition_that_another_unit_has_is_no_concern() -> None:
    backlog = Backlog()
    look(backlog, 0, (0, 5), (0, 5))
    backlog.look([PartitionState("nginxlog", 0, 5, 5)], 60)
    assert backlog.age_s(60) == 0


def test_a_topic_that_was_created_again_has_records_of_its_own_age() -> None:
    backlog = Backlog()
    look(backlog, 0, (0, 500))
    assert look(backlog, 60, (0, 5)) == 0
    assert look(backlog, 90, (0, 5)) == 30


def test_a_long_backlog_is_remembered_coarsely_and_never_as_too_young() -> None:
    backlog = Backlog()
    for second in range(20_000):
        look(backlog, second, (0, second + 1))
    assert len(backlog._seen["nginxlog", 0]) <= 3000
    for stored in range(1, 20_000, 777):
        age = look(backlog, 20_000, (stored, 20_000))
        assert age is not None
        assert 20_000 - stored <= age <= 20_000 - stored + 20_000 / 512 + 1
