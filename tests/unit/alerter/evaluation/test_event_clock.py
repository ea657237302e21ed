"""How event time moves: with lines, with the wall clock once everything is read, and not at all in the dark."""

from __future__ import annotations

from obsctl.alerter.evaluation.event_clock import EventClock

#: A wall clock that suppresses nothing.
LATER = 10_000.0


def test_it_is_unknown_until_every_partition_has_said_something() -> None:
    clock = EventClock(5)
    assert clock.now(LATER) is None
    clock.track(0)
    clock.track(1)
    clock.read(0, 1000)
    assert clock.now(LATER) is None
    clock.caught_up(1, 2000)
    assert clock.now(LATER) == 995


def test_a_quiet_partition_moves_with_the_moments_at_which_all_was_read() -> None:
    clock = EventClock(5)
    clock.read(0, 1000)
    clock.caught_up(0, 1010)
    assert clock.now(LATER) == 1005
    clock.caught_up(0, 1060)
    assert clock.now(LATER) == 1055


def test_a_partition_with_a_backlog_holds_it_back() -> None:
    clock = EventClock(5)
    clock.caught_up(0, 5000)
    clock.read(1, 1000)
    assert clock.now(LATER) == 995


def test_it_never_goes_back() -> None:
    clock = EventClock(0)
    clock.read(0, 1000)
    clock.read(0, 900)
    clock.caught_up(0, 950)
    assert clock.now(LATER) == 1000


def test_a_wall_clock_that_was_set_back_takes_it_along() -> None:
    clock = EventClock(5)
    clock.caught_up(0, 5000)
    assert clock.now(1400) == 1395
    # From then on the lines count again: the future that was once read is no excuse for a backlog.
    clock.read(0, 1100)
    assert clock.now(1500) == 1395
    clock.read(0, 1450)
    assert clock.now(1500) == 1445
