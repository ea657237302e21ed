"""All stages together: one alert, a storm, restarts."""

from __future__ import annotations

import random

import pytest

from obsctl.alerter.alerts import AlertState, Level
from obsctl.alerter.notify.notification import LISTED
from obsctl.alerter.notify.stages import STAGES, Notifier
from tests.unit.alerter.notify.world import T, World, route


def test_the_list_is_the_documented_way() -> None:
    assert [stage.name for stage in STAGES] == [
        "evaluate", "for", "inhibit", "silence", "mute", "group", "repeat", "route",
    ]  # fmt: skip


def test_one_alert_arrives_within_two_seconds_and_its_end_is_one_message() -> None:
    world = World()
    world.start("192.0.2.1")
    (first,) = world.run(90)
    assert first.at - T <= 2
    assert (first.reason, first.started, first.firing, first.total) == ("first", 1, 1, 1)
    assert (first.labels, first.channels, first.route) == ({"rule": "rate"}, ("chat", "pager", "mail"), "default")
    world.end("192.0.2.1")
    (resolved,) = world.run(90)
    assert resolved.at - (T + 90) <= 2
    assert (resolved.reason, resolved.resolved, resolved.firing) == ("resolved", 1, 0)
    assert (resolved.since, resolved.ended, resolved.duration) == (T, T + 90, 90)
    assert resolved.thread == first.thread
    assert resolved.id != first.id


def test_nothing_is_said_or_saved_while_nothing_changes() -> None:
    world = World()
    world.start("192.0.2.1")
    world.run(10)
    world.notifier.take_changes()
    world.now += 10
    assert not any(world.notifier.turn((), world.firing, world.now))
    assert not any(world.notifier.take_changes())


def storm(world: World, clients: int, *, restarts: random.Random | None = None) -> None:
    """``clients`` alerts start within one minute, last 100 seconds each, and then there is silence."""
    events = sorted(
        [(60 * number / clients, True, number) for number in range(clients)]
        + [(60 * number / clients + 100, False, number) for number in range(clients)]
    )
    for at, begins, number in events:
        if at >= world.now - T:
            while world.now - T <= at:
                world.now += 0.2
                world.turn()
                if restarts is not None and restarts.random() < 0.01:
                    world.restart()
        (world.start if begins else world.end)(f"client-{number}")
    world.run(600, step=1)


def check_sums(world: World) -> None:
    assert len({notification.id for notification in world.said}) == len(world.said)
    started, resolved, never_sent = world.sums()
    assert started + never_sent == world.begun
    assert started == resolved
    assert world.said[-1].firing == 0


def test_a_storm_is_few_messages_and_nothing_is_unreported() -> None:
    world = World()
    storm(world, 20_000)
    assert len(world.said) <= 10
    assert world.reasons[0] == "first"
    assert world.reasons[-1] == "resolved"
    # The last alert ended 160 s after the start.
    assert world.said[-1].at - (T + 160) <= 300
    assert all(len(notification.alerts) <= LISTED for notification in world.said)
    check_sums(world)


@pytest.mark.parametrize("seed", range(3))
def test_a_storm_survives_restarts_at_random_moments(seed: int) -> None:
    world = World()
    storm(world, 1_000, restarts=random.Random(seed))  # noqa: S311
    assert len(world.said) <= 10
    check_sums(world)


@pytest.mark.parametrize("changing", [False, True], ids=["severities-stay", "severities-change"])
@pytest.mark.parametrize("seed", range(15))
def test_alerts_that_come_and_go_at_random_are_all_accounted_for(seed: int, changing: bool) -> None:
    """Random rules, keys, severities, silences, windows, clocks and restarts: the sums are right in the end."""
    rng = random.Random(seed)  # noqa: S311
    world = World(
        {
            "routes": [
                {"name": "urgent", "severities": ["critical"], "channels": ["pager"], "group_by": []},
                {"name": "rest", "channels": ["chat"], "group_by": rng.choice([["rule"], ["severity"], ["incident"]])},
            ],
            "inhibitions": [{"name": "down", "source": "rule:down", "target": "rule:errors", "equal": ["client_addr"]}],
            "mute_windows": [{"name": "morning", "from": "08:05", "to": "08:20", "match": "rule:rate"}],
        },
        for_s={"errors": 3},
    )
    for _ in range(1500):
        rule, key = rng.choice(["rate", "errors", "down"]), f"client-{rng.randrange(8)}"
        chance = rng.random()
        if (rule, (key,)) not in world.firing:
            if chance < 0.2:
                world.start(key, rule=rule, severity=rng.choice(list(Level)), peak=rng.random())
        elif chance < 0.1:
            world.end(key, rule=rule)
        elif chance < 0.15 and changing:
            world.severity(rng.choice(list(Level)), key, rule=rule)
        world.now += rng.choice([0.2, 0.2, 0.2, 1, 5])
        world.turn()
        if rng.random() < 0.02:
            world.restart()
    for rule, key in list(world.firing):
        world.end(*key, rule=rule)
    world.run(7200, step=10)
    assert len({notification.id for notification in world.said}) == len(world.said)
    by_route: dict[str, list[int]] = {"urgent": [0, 0], "rest": [0, 0]}
    for notification in world.said:
        by_route[notification.route][0] += notification.started
        by_route[notification.route][1] += notification.resolved
        assert notification.firing >= 0
        assert notification.total >= len(notification.alerts) > 0
    assert all(started == resolved for started, resolved in by_route.values())
    accounted = sum(started for started, _ in by_route.values()) + world.sums()[2]
    # An alert whose severity changed has gone two ways.
    assert accounted >= world.begun if changing else accounted == world.begun
    world.run(3700, step=100)
    assert not world.rows


def test_a_decision_that_a_crash_took_back_gets_the_same_id() -> None:
    world = World()
    world.start("192.0.2.1")
    world.run(0.4)
    rows, now = dict(world.rows), world.now
    (lost,) = world.run(2)
    world.rows, world.now = rows, now
    world.restart()
    (again,) = world.run(3)
    assert again.id == lost.id


def test_what_memory_and_engine_disagree_about_is_reported() -> None:
    world = World()
    world.start("192.0.2.1")
    world.start("192.0.2.2")
    world.run(5)
    del world.firing["rate", ("192.0.2.2",)]
    world.start("192.0.2.3")
    world._changed.clear()
    world.restart()
    (news,) = world.run(120)
    assert (news.started, news.resolved, news.firing) == (1, 1, 2)


def test_an_engine_that_calls_the_same_key_another_incident_has_ended_the_old_one() -> None:
    world = World()
    world.start("192.0.2.1")
    world.run(5)
    world.now += 1
    world.start("192.0.2.1")
    (news,) = world.run(300)
    assert (news.reason, news.started, news.resolved, news.firing) == ("digest", 1, 1, 1)


def test_an_incident_that_fires_again_after_its_end_is_reported_again() -> None:
    world = World()
    world.start("192.0.2.1")
    world.run(60)
    alert = world.end("192.0.2.1")
    world.run(60)
    alert.state = AlertState.FIRING
    world.firing["rate", ("192.0.2.1",)] = alert
    world._changed.append(alert)
    world.run(300)
    assert world.reasons == ["first", "resolved", "first"]


def test_a_start_and_an_end_in_one_turn_are_one_message() -> None:
    world = World()
    world.start("192.0.2.1")
    world.end("192.0.2.1")
    (news,) = world.run(300)
    assert (news.reason, news.started, news.resolved, news.firing) == ("digest", 1, 1, 0)


@pytest.mark.parametrize("group_by", [["rule"], ["client_addr"]])
def test_a_clock_that_is_set_back_delays_nothing(group_by: list[str]) -> None:
    world = World(route(group_by=group_by))
    world.start("192.0.2.1")
    world.run(30)
    world.start("192.0.2.2")
    world.run(0.4)
    world.now -= 86400
    world.end("192.0.2.1")
    world.run(70)
    started, resolved, _ = world.sums()
    assert (started, resolved) == (2, 1)


def test_ten_thousand_keys_through_restarts() -> None:
    """Each key is a group of its own, fires twice, and the process starts again in between."""
    rng = random.Random(1)  # noqa: S311
    world = World(route(group_by=["client_addr"]))
    keys = [f"client-{number}" for number in range(10_000)]
    for _ in range(2):
        for begins in (True, False):
            rng.shuffle(keys)
            for number, key in enumerate(keys):
                (world.start if begins else world.end)(key)
                if number % 500 == 0:
                    world.run(1)
                    if rng.random() < 0.2:
                        world.restart()
            world.run(120, step=1)
    world.run(3600, step=60)
    check_sums(world)
    per_group: dict[str, int] = {}
    for notification in world.said:
        per_group[notification.thread] = per_group.get(notification.thread, 0) + 1
    assert len(per_group) == len(keys)
    assert max(per_group.values()) <= 4


def test_memory_is_bounded_after_a_storm() -> None:
    world = World()
    storm(world, 30_000)
    assert len(world.notifier.memory.members) <= 20_000
    assert len(world.rows) <= 20_001
    world.run(4000, step=1000)
    assert not world.rows


def test_a_turn_looks_at_what_changed_only() -> None:
    world = World(route())
    for number in range(1000):
        world.start(f"client-{number}")
    world.run(2)
    looked: list[str] = []
    notifier: Notifier = world.notifier
    seen = notifier.memory.changed
    notifier.memory.changed = lambda entry: (looked.append(entry.id), seen(entry))[1]  # type: ignore[method-assign]
    world.start("one-more")
    world.turn()
    assert 0 < len(set(looked)) <= 3
