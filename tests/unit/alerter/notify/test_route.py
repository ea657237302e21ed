"""Stage route: which channels, and which one while another cannot deliver."""

from __future__ import annotations

from obsctl.alerter.notify.turn import PassOn
from tests.unit.alerter.notify.world import T, World, route


def world() -> World:
    return World(route(channels=["chat", "mail"], fail_over="pager", fail_over_after_min=5))


def passed_on(w: World) -> list[PassOn]:
    return [each for outcome in w.outcomes for each in outcome.pass_on]


def test_without_trouble_the_fail_over_channel_gets_nothing() -> None:
    w = world()
    w.start("192.0.2.1")
    (said,) = w.run(1000)
    assert said.channels == ("chat", "mail")
    assert passed_on(w) == []


def test_what_waits_goes_to_the_fail_over_channel_once_and_so_does_what_comes() -> None:
    w = world()
    w.unable_since = {"chat": T}
    w.start("192.0.2.1")
    (said,) = w.run(299)
    assert said.channels == ("chat", "mail")
    assert passed_on(w) == []
    w.run(2)
    assert passed_on(w) == [PassOn("all", "chat", "pager")]
    w.end("192.0.2.1")
    (said,) = w.run(60)
    assert said.channels == ("chat", "mail", "pager")
    w.restart()
    w.run(600)
    assert len(passed_on(w)) == 1


def test_a_channel_that_delivers_again_is_enough() -> None:
    w = world()
    w.unable_since = {"chat": T}
    w.run(301)
    w.unable_since = {}
    w.start("192.0.2.1")
    (said,) = w.run(60)
    assert said.channels == ("chat", "mail")
    w.unable_since = {"chat": w.now}
    w.run(299)
    assert len(passed_on(w)) == 1
    w.run(2)
    assert len(passed_on(w)) == 2


def test_a_channel_of_another_route_does_not_matter() -> None:
    w = world()
    w.unable_since = {"pager": T - 9999.0}
    w.start("192.0.2.1")
    (said,) = w.run(60)
    assert said.channels == ("chat", "mail")


def test_a_route_without_channels_is_a_record() -> None:
    w = World(route(channels=[]))
    w.start("192.0.2.1")
    assert w.run(60) == []
    assert w.suppressed == [("route", "all", 1)]
