"""When a worker counts as standing still."""

from __future__ import annotations

from obsctl.consumer.telemetry import Counters, Note, PartitionState, Report
from obsctl.consumer.unit.stall import Stillness


def report(*parts: tuple[int | None, int | None], trouble: str = "") -> Report:
    troubles = {trouble: Note("away", "", "2026")} if trouble else {}
    places = [PartitionState("nginxlog", number, *part) for number, part in enumerate(parts)]
    return Report(Counters(), troubles, {}, places, None, None, "")


def test_a_worker_that_moves_is_never_still() -> None:
    still = Stillness()
    for second in range(100):
        assert still.look(report((second, second + 50)), second) == 0


def test_one_that_moves_none_while_an_end_moves_is_still_since_then() -> None:
    still = Stillness()
    still.look(report((10, 10), (5, 5)), 0)
    assert still.look(report((10, 10), (5, 5)), 500) == 0, "a quiet topic"
    assert still.look(report((10, 10), (5, 6)), 501) == 0
    assert still.look(report((10, 10), (5, 6)), 530) == 29
    assert still.look(report((10, 10), (6, 6)), 531) == 0


def test_one_of_its_partitions_that_moves_is_enough() -> None:
    still = Stillness()
    still.look(report((10, 10), (5, 5)), 0)
    still.look(report((10, 90), (5, 6)), 1)
    assert still.look(report((10, 90), (6, 6)), 60) == 0


def test_a_rest_at_the_end_that_does_not_grow_proves_nothing() -> None:
    still = Stillness()
    for second in range(100):
        assert still.look(report((10, 12)), second) == 0


def test_one_that_says_what_is_in_its_way_waits_for_a_reason() -> None:
    still = Stillness()
    still.look(report((10, 10)), 0)
    still.look(report((10, 10)), 10)
    still.look(report((10, 11)), 11)
    assert still.look(report((10, 90), trouble="database"), 60) == 0
    assert still.look(report((10, 90)), 70) == 0
    assert still.look(report((10, 95)), 72) == 0
    assert still.look(report((10, 95)), 102) == 30


def test_an_end_that_is_told_late_has_not_moved_since() -> None:
    still = Stillness()
    still.look(report((10, 10)), 0)
    still.look(report((40, 10)), 20)
    still.look(report((40, 40)), 22)
    for second in range(23, 100):
        assert still.look(report((40, 40)), second) == 0, "30 lines, stored before their end was told"


def test_the_marker_behind_the_last_line_is_no_line() -> None:
    still = Stillness()
    still.look(report((10, 10)), 0)
    still.look(report((40, 40)), 20)
    for second in range(21, 100):
        assert still.look(report((40, 41)), second) == 0


def test_without_partitions_nobody_stands_still() -> None:
    still = Stillness()
    assert [still.look(report(), second) for second in (0, 100)] == [0, 0]


def test_an_end_that_is_told_for_the_first_time_has_not_moved() -> None:
    still = Stillness()
    still.look(report((10, None)), 0)
    still.look(report((10, None)), 20)
    still.look(report((10, 500)), 21)
    assert still.look(report((10, 500)), 100) == 0
    still.look(report((10, 501)), 101)
    assert still.look(report((10, 501)), 111) == 10
