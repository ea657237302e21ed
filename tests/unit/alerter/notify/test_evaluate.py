"""Stage evaluate: what changed, and along which route it goes."""

from __future__ import annotations

from obsctl.alerter.alerts import Level
from tests.unit.alerter.notify.world import World, route

TWO_ROUTES = {
    "routes": [
        {"name": "urgent", "severities": ["critical"], "channels": ["pager"]},
        {"name": "rest", "channels": ["chat"]},
    ]
}


def test_an_alert_takes_the_first_route_that_fits() -> None:
    world = World(TWO_ROUTES)
    world.start("192.0.2.1", severity=Level.CRITICAL)
    world.start("192.0.2.2")
    assert [(said.route, said.channels) for said in world.run(2)] == [("urgent", ("pager",)), ("rest", ("chat",))]


def test_one_that_gets_worse_takes_the_next_route_and_ends_on_both() -> None:
    world = World(TWO_ROUTES)
    world.start("192.0.2.1")
    world.run(10)
    world.severity(Level.CRITICAL, "192.0.2.1")
    assert sorted((said.route, said.reason) for said in world.run(2)) == [("rest", "escalated"), ("urgent", "first")]
    world.end("192.0.2.1")
    assert sorted((said.route, said.reason) for said in world.run(90)) == [("rest", "resolved"), ("urgent", "resolved")]


def test_one_whose_severity_falls_is_no_news() -> None:
    world = World(route())
    world.start("192.0.2.1", severity=Level.CRITICAL)
    world.run(10)
    world.severity(Level.WARNING, "192.0.2.1")
    assert world.run(300) == []


def test_the_worst_of_a_group_is_told_at_once_and_each_severity_once() -> None:
    world = World(route())
    for number in range(5):
        world.start(f"client-{number}", severity=Level.INFO)
    world.run(2)
    world.severity(Level.WARNING, "client-0")
    (worse,) = world.run(2)
    assert (worse.reason, worse.severity, worse.total) == ("escalated", "warning", 1)
    world.severity(Level.WARNING, "client-1")
    assert world.run(50) == []
    (later,) = world.run(120)
    assert (later.reason, later.total) == ("escalated", 1)
    world.start("client-9", severity=Level.CRITICAL)
    (worst,) = world.run(2)
    assert (worst.reason, worst.severity, worst.started) == ("escalated", "critical", 1)


def test_a_route_that_is_gone_after_a_restart_gives_its_alerts_to_another_one() -> None:
    world = World(TWO_ROUTES)
    world.start("192.0.2.1", severity=Level.CRITICAL)
    world.run(10)
    world.restart(route())
    (said,) = world.run(10)
    assert (said.route, said.reason) == ("all", "first")
    world.end("192.0.2.1")
    assert [(said.route, said.reason) for said in world.run(120)] == [("all", "resolved")]


def test_other_groups_after_a_restart_repeat_no_message() -> None:
    world = World(route())
    world.start("192.0.2.1")
    world.run(10)
    world.restart(route(group_by=["client_addr"]))
    assert world.run(300) == []
    world.end("192.0.2.1")
    assert [said.reason for said in world.run(120)] == ["resolved"]
