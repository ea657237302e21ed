"""Stage group: alerts that belong together are one message."""

from __future__ import annotations

from obsctl.alerter.alerts import Level
from obsctl.alerter.notify.notification import LISTED
from tests.unit.alerter.notify.world import T, World, route


def test_alerts_of_one_second_are_one_message_and_the_worst_are_in_it() -> None:
    world = World(route())
    for number in range(100):
        severity = Level.CRITICAL if number == 7 else Level.WARNING
        world.start(f"client-{number}", severity=severity, peak=number)
    (said,) = world.run(10)
    assert (said.reason, said.started, said.total, said.severity) == ("first", 100, 100, "critical")
    named = [alert.labels["client_addr"] for alert in said.alerts]
    assert named[:3] == ["client-7", "client-99", "client-98"]
    assert len(named) == LISTED


def test_what_group_by_names_parts_the_groups() -> None:
    world = World(route(group_by=["client_addr"]))
    world.start("192.0.2.1")
    world.start("192.0.2.1", rule="errors")
    world.start("192.0.2.2")
    world.start(rule="errors")
    said = world.run(10)
    assert sorted((n.labels["client_addr"], n.total) for n in said) == [("", 1), ("192.0.2.1", 2), ("192.0.2.2", 1)]
    assert len({n.thread for n in said}) == 3


def test_an_empty_group_by_is_one_group_and_incident_is_none() -> None:
    for group_by, groups in ([], 1), (["incident"], 3):
        world = World(route(group_by=group_by))
        world.start("192.0.2.1")
        world.start("192.0.2.1", rule="errors")
        world.start("192.0.2.2")
        assert len(world.run(10)) == groups


def test_changes_are_digests_that_become_seldom_and_the_end_does_not_wait_for_them() -> None:
    world = World(route(repeat_after_s=0))
    world.start("client-0")
    for number in range(1, 180):
        world.run(10)
        world.start(f"client-{number}")
    pauses = [round(later.at - said.at) for said, later in zip(world.said, world.said[1:], strict=False)]
    assert pauses == [60, 120, 240, 480]
    assert [n.reason for n in world.said[1:]] == ["digest"] * 4
    for number in range(180):
        world.end(f"client-{number}")
    before = world.now
    (resolved,) = world.run(100)
    assert resolved.reason == "resolved"
    assert resolved.at - before <= 60
    assert world.sums() == (180, 180, 0)


def test_a_digest_says_what_started_and_what_ended() -> None:
    world = World(route())
    for number in range(5):
        world.start(f"client-{number}")
    world.run(5)
    world.end("client-0")
    world.end("client-1")
    world.start("client-5")
    (said,) = world.run(90)
    assert (said.reason, said.started, said.resolved, said.firing, said.total) == ("digest", 1, 2, 4, 3)


def test_one_that_flaps_is_no_message_each_time() -> None:
    world = World(route())
    for _ in range(12 * 30):
        world.start("192.0.2.1")
        world.run(60, step=1)
        world.end("192.0.2.1")
        world.run(60, step=1)
    world.run(1800, step=1)
    # Twelve hours: six messages until the pace is slow, then one each quarter of an hour.
    assert len(world.said) <= 6 + 4 * 12
    assert world.sums() == (360, 360, 0)
    assert max(b.at - a.at for a, b in zip(world.said, world.said[1:], strict=False)) <= 901


def test_another_alert_of_the_group_does_not_wait_for_the_one_that_flaps() -> None:
    world = World(route())
    for _ in range(30):
        world.start("192.0.2.1")
        world.run(60, step=1)
        world.end("192.0.2.1")
        world.run(60, step=1)
    last = world.said[-1].at
    world.now = max(world.now, last + 61)
    world.start("192.0.2.2")
    (said,) = world.run(2)
    assert {alert.labels["client_addr"] for alert in said.alerts} >= {"192.0.2.2"}


def test_one_that_is_calm_for_an_hour_is_new() -> None:
    world = World(route())
    world.start("192.0.2.1")
    world.run(60)
    world.end("192.0.2.1")
    world.run(3700, step=5)
    assert not world.rows
    world.start("192.0.2.1")
    (said,) = world.run(2)
    assert said.reason == "first"
    assert said.thread != world.said[0].thread


def test_a_message_shows_the_peak_of_now() -> None:
    world = World(route(group_wait_s=5))
    alert = world.start("192.0.2.1", peak=100)
    world.run(3)
    alert.peak = alert.peak._replace(value=900)
    (said,) = world.run(5)
    assert said.alerts[0].peak.value == 900
    alert.peak = alert.peak._replace(value=1000)
    assert said.alerts[0].peak.value == 900


def test_the_duration_is_that_of_the_whole_group() -> None:
    world = World(route())
    world.start("192.0.2.1")
    world.run(100)
    world.start("192.0.2.2")
    world.run(200)
    world.end("192.0.2.1")
    world.run(200)
    world.end("192.0.2.2")
    world.run(120)
    resolved = world.said[-1]
    assert (resolved.reason, resolved.since, resolved.duration) == ("resolved", T, 500)


def test_another_alert_after_the_end_of_all_is_reported_at_once_and_a_return_is_not() -> None:
    world = World()
    world.start("a")
    world.run(70)
    world.end("a")
    world.run(10)
    assert world.reasons == ["first", "resolved"]
    world.start("b")
    assert [one.reason.value for one in world.run(2)] == ["first"]
    world.end("b")
    world.run(70)
    world.start("b")
    assert world.run(2) == []
    assert [one.reason.value for one in world.run(240)] == ["first"]
