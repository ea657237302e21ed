"""Stage repeat: a condition that stays true is reported again, less and less often."""

from __future__ import annotations

from obsctl.alerter.notify.options import RouteOptions
from obsctl.alerter.notify.repeat import pause
from tests.unit.alerter.notify.world import T, World, route

HOUR = 3600


def test_the_pauses_double_up_to_a_day() -> None:
    world = World(route())
    world.start("192.0.2.1")
    world.run(100 * HOUR, step=60)
    hours = [round((said.at - T) / HOUR) for said in world.said]
    assert hours == [0, 1, 3, 7, 15, 31, 55, 79]
    assert [said.repeat for said in world.said] == [0, 1, 2, 3, 4, 5, 6, 7]
    assert set(world.reasons[1:]) == {"repeat"}
    assert world.said[-1].firing == 1
    assert world.said[-1].since == T
    assert world.sums() == (1, 0, 0)


def test_many_repetitions_have_a_bound() -> None:
    options = RouteOptions(name="all", channels=())
    assert pause(options, 10_000) == options.repeat_max_s


def test_zero_is_never() -> None:
    world = World(route(repeat_after_s=0))
    world.start("192.0.2.1")
    world.run(100 * HOUR, step=60)
    assert world.reasons == ["first"]


def test_a_change_puts_the_repetition_off_and_an_end_ends_it() -> None:
    world = World(route())
    world.start("192.0.2.1")
    world.run(HOUR / 2, step=1)
    world.start("192.0.2.2")
    assert [said.reason for said in world.run(HOUR * 0.9, step=1)] == ["digest"]
    (said,) = world.run(HOUR / 2, step=1)
    assert (said.reason, said.total, said.firing) == ("repeat", 2, 2)
    world.end("192.0.2.1")
    world.end("192.0.2.2")
    world.run(100 * HOUR, step=60)
    assert world.reasons == ["first", "digest", "repeat", "resolved"]


def test_a_restart_changes_nothing() -> None:
    world = World(route())
    world.start("192.0.2.1")
    for _ in range(8):
        world.run(HOUR, step=60)
        world.restart()
    assert [round((said.at - T) / HOUR) for said in world.said] == [0, 1, 3, 7]


def test_the_next_condition_begins_from_the_start() -> None:
    world = World(route())
    world.start("192.0.2.1")
    world.run(8 * HOUR, step=60)
    world.end("192.0.2.1")
    world.run(2 * HOUR, step=60)
    begun = world.now
    world.start("192.0.2.1")
    said = world.run(4 * HOUR, step=60)
    assert [round((each.at - begun) / HOUR) for each in said] == [0, 1, 3]
