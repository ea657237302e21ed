"""When a worker counts as stalled."""

from __future__ import annotations

from obsctl.consumer.telemetry import Counters, PartitionState, Report
from obsctl.consumer.unit.stall import StallDetector
from obsctl.core.consumer_page import Note


def report(*parts: tuple[int | None, int | None], trouble: str = "") -> Report:
    troubles = {trouble: Note("away", "", "2026")} if trouble else {}
    places = [PartitionState("nginxlog", number, *part) for number, part in enumerate(parts)]
    return Report(Counters(), troubles, {}, places, None, None, "")


def test_a_worker_that_moves_is_never_stalled() -> None:
    stall = StallDetector()
    for second in range(100):
        assert stall.stalled_s(report((second, second + 50)), second) == 0


def test_one_that_moves_none_while_an_end_moves_is_stalled_since_then() -> None:
    stall = StallDetector()
    stall.stalled_s(report((10, 10), (5, 5)), 0)
    assert stall.stalled_s(report((10, 10), (5, 5)), 500) == 0, "a quiet topic"
    assert stall.stalled_s(report((10, 10), (5, 6)), 501) == 0
    assert stall.stalled_s(report((10, 10), (5, 6)), 530) == 29
    assert stall.stalled_s(report((10, 10), (6, 6)), 531) == 0


def test_one_of_its_partitions_that_moves_is_enough() -> None:
    stall = StallDetector()
    stall.stalled_s(report((10, 10), (5, 5)), 0)
    stall.stalled_s(report((10, 90), (5, 6)), 1)
    assert stall.stalled_s(report((10, 90), (6, 6)), 60) == 0


def test_a_rest_at_the_end_that_does_not_grow_proves_nothing() -> None:
    stall = StallDetector()
    for second in range(100):
        assert stall.stalled_s(report((10, 12)), second) == 0


def test_one_that_reports_a_trouble_waits_for_a_reason() -> None:
    stall = StallDetector()
    stall.stalled_s(report((10, 10)), 0)
    stall.stalled_s(report((10, 10)), 10)
    stall.stalled_s(report((10, 11)), 11)
    assert stall.stalled_s(report((10, 90), trouble="database"), 60) == 0
    assert stall.stalled_s(report((10, 90)), 70) == 0
    assert stall.stalled_s(report((10, 95)), 72) == 0
    assert stall.stalled_s(report((10, 95)), 102) == 30


def test_an_end_that_is_known_late_has_not_moved_since() -> None:
    stall = StallDetector()
    stall.stalled_s(report((10, 10)), 0)
    stall.stalled_s(report((40, 10)), 20)
    stall.stalled_s(report((40, 40)), 22)
    for second in range(23, 100):
        assert stall.stalled_s(report((40, 40)), second) == 0, "30 lines, stored before their end was known"


def test_the_marker_behind_the_last_line_is_no_line() -> None:
    stall = StallDetector()
    stall.stalled_s(report((10, 10)), 0)
    stall.stalled_s(report((40, 40)), 20)
    for second in range(21, 100):
        assert stall.stalled_s(report((40, 41)), second) == 0


def test_without_partitions_no_worker_is_stalled() -> None:
    stall = StallDetector()
    assert [stall.stalled_s(report(), second) for second in (0, 100)] == [0, 0]


def test_an_end_that_is_known_for_the_first_time_has_not_moved() -> None:
    stall = StallDetector()
    stall.stalled_s(report((10, None)), 0)
    stall.stalled_s(report((10, None)), 20)
    stall.stalled_s(report((10, 500)), 21)
    assert stall.stalled_s(report((10, 500)), 100) == 0
    stall.stalled_s(report((10, 501)), 101)
    assert stall.stalled_s(report((10, 501)), 111) == 10
