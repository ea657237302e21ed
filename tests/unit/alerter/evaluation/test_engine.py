"""When a condition starts and ends: order, lateness, repetition, restarts."""

from __future__ import annotations

import random

import msgspec
import pytest

from obsctl.alerter.alerts import Alert, AlertState, Key, Measure
from obsctl.alerter.evaluation.engine import Engine, Snapshot, Transition
from obsctl.alerter.evaluation.event_clock import EventClock
from obsctl.alerter.rules.rule import Rule
from obsctl.lines.event import Event
from tests.unit.alerter.builders import CLIENT, T, engine, errors, event, rate, share


def burst(count: int, *, start: float = 0.0, seconds: float = 10.0, status: int = 200) -> list[Event]:
    return [event(start + seconds * n / count, status=status) for n in range(count)]


def run(machine: Engine, events: list[Event], until: int, *, step: float = 1.0) -> list[Transition]:
    """Feed the events as they happen and let the clock go on until the given second."""
    left = sorted(events, key=lambda e: e.time)
    found = []
    now = float(T)
    while now <= T + until:
        due = [e for e in left if e.time <= now]
        left = left[len(due) :]
        found += machine.feed(due, now)
        found += machine.tick(now - 5, now)
        now += step
    return found


def test_200_requests_in_10_s_give_one_start_and_one_end() -> None:
    found = run(engine(), burst(200), 300)
    assert [t.alert.state for t in found] == [AlertState.FIRING, AlertState.ENDED]
    start, end = (t.alert for t in found)
    assert start.labels == end.labels == {"client_addr": CLIENT}
    assert start.incident == end.incident
    assert T + 4 <= start.started <= T + 6
    assert end.peak == Measure(200, 200, 200)
    # The last window that holds 100 of them ends 60 s after the hundredth from the end.
    assert T + 60 <= end.last_true <= T + 66
    assert end.ended - end.last_true >= 30


def test_one_request_below_the_threshold_starts_nothing() -> None:
    assert run(engine(), burst(99), 200) == []


def test_the_first_message_comes_with_the_line_that_reaches_the_threshold() -> None:
    machine = engine()
    lines = burst(100)
    assert machine.feed(lines[:99], T + 10) == []
    (start,) = machine.feed(lines[99:], T + 10)
    assert start.alert.peak == Measure(100, 100, 100)
    top = machine.top(start.alert)
    assert top is not None
    assert (top.lines, top.hits, top.values["host"]) == (100, 100, (("node1", 100),))


def test_a_condition_that_goes_on_says_nothing_more() -> None:
    found = run(engine(), burst(3000, seconds=300), 300)
    assert len(found) == 1


def test_a_second_burst_within_the_hold_time_is_the_same_incident_and_a_later_one_is_not() -> None:
    assert len(run(engine(), burst(200) + burst(200, start=80), 400)) == 2
    found = run(engine(), burst(200) + burst(200, start=200), 600)
    assert [t.alert.state.value for t in found] == ["firing", "ended", "firing", "ended"]
    assert found[0].alert.incident != found[2].alert.incident


def test_keys_do_not_share_counts() -> None:
    lines = [event(n / 10, client=f"203.0.113.{n % 3}") for n in range(240)]
    assert run(engine(rate(100)), lines, 100) == []


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_arrival_does_not_matter(seed: int) -> None:
    lines = burst(200, seconds=20)
    random.Random(seed).shuffle(lines)  # noqa: S311
    machine = engine()
    found = []
    for begin in range(0, 200, 7):
        found += machine.feed(lines[begin : begin + 7], T + 120)
    assert [t.alert.state for t in found] == [AlertState.FIRING]


def test_a_backlog_read_partition_by_partition_still_sees_a_burst_that_is_over() -> None:
    lines = burst(120)
    machine = engine()
    quiet = [event(n, client="198.51.100.7") for n in range(0, 200, 10)]
    assert machine.feed(lines[::2] + quiet, T + 200) == []
    assert len(machine.feed(lines[1::2], T + 200)) == 1


def test_a_resend_does_not_count_twice() -> None:
    lines = burst(60)
    machine = engine()
    assert machine.feed([*lines, *lines[:10]], T + 10) == []
    assert machine.feed(lines, T + 11) == []
    assert machine.skipped.repeated == 70
    assert machine.counted == 60


def test_a_replay_of_old_logs_is_not_news() -> None:
    machine = engine()
    assert machine.feed([event(-400 - n / 100) for n in range(1000)], T) == []
    assert machine.skipped.late == 1000
    assert not machine.take_changes()


def test_lines_from_a_host_whose_clock_is_ahead_do_not_count() -> None:
    machine = engine()
    assert machine.feed([event(61 + n / 100) for n in range(500)], T) == []
    assert machine.skipped.ahead == 500


def test_late_lines_of_an_ended_condition_do_not_start_it_again() -> None:
    machine = engine()
    late = burst(20)
    assert len(run(machine, burst(200), 200)) == 2
    assert machine.feed(late, T + 200) == []


def test_nothing_ends_while_the_event_clock_stands_still() -> None:
    machine = engine()
    assert len(machine.feed(burst(200), T + 10)) == 1
    for minute in range(1, 30):
        assert machine.tick(T + 12, T + 60 * minute) == []
        assert machine.tick(None, T + 60 * minute) == []
    # What is read now may be older than what is counted: that is no evidence of an end either.
    assert machine.tick(T + 200, T + 1800) == []
    assert len(machine.tick(T + 1795, T + 1800)) == 1


def test_4xx_and_5xx_are_about_the_fleet() -> None:
    machine = engine(errors(50), share(0.05, 100))
    found = machine.feed([event(n / 20, client=f"192.0.2.{n}", status=404) for n in range(50)], T + 3)
    assert [t.alert.labels for t in found] == [{}]
    found = machine.feed([event(5, status=200), *burst(140, start=5), *burst(9, start=5, status=502)], T + 16)
    assert found == []
    found = machine.feed(burst(2, start=15, status=502), T + 16)
    assert [(t.alert.rule, t.alert.peak) for t in found] == [("server-error-share", Measure(11 / 202, 11, 202))]


class Kept:
    """What a state file keeps of an engine."""

    def __init__(self) -> None:
        self.alerts: dict[tuple[str, Key], bytes] = {}

    def take(self, machine: Engine) -> None:
        changes = machine.take_changes()
        self.alerts.update({place: msgspec.json.encode(alert) for place, alert in changes.alerts.items()})
        for place in changes.gone:
            self.alerts.pop(place, None)

    def restarted(self, machine: Engine, *rules: Rule) -> Engine:
        """Return an engine that loads a snapshot of the first one."""
        self.take(machine)
        self.alerts.update({(a.rule, a.key): msgspec.json.encode(a) for a in machine.firing.values()})
        new = engine(*rules)
        assert new.restore(machine.snapshot(), T)
        new.take_over(msgspec.json.decode(alert, type=Alert) for alert in self.alerts.values())
        return new


def test_a_restart_after_every_step_changes_nothing() -> None:
    lines = sorted(burst(200) + burst(200, start=250) + burst(40, start=20, seconds=300), key=lambda e: e.time)
    steady = run(engine(), lines, 600)
    kept = Kept()
    machine, found, left = engine(), [], lines
    for second in range(601):
        now = float(T + second)
        due = [e for e in left if e.time <= now]
        left = left[len(due) :]
        found += machine.feed(due, now)
        machine = kept.restarted(machine)
        found += machine.tick(now - 5, now)
        machine = kept.restarted(machine)
    assert [(t.alert.state, t.alert.incident, t.alert.peak) for t in found] == [
        (t.alert.state, t.alert.incident, t.alert.peak) for t in steady
    ]
    assert len(found) == 4


def steady(machine: Engine, start: float, seconds: int, clock: EventClock) -> list[Transition]:
    """Send ten requests a second by the true time, as the service does, and return what starts and ends."""
    found = []
    for second in range(seconds):
        now = T + start + second
        lines = [event(start + second - 1 + n / 10) for n in range(10)]
        found += machine.feed(lines, now)
        clock.caught_up(0, now)
        found += machine.tick(clock.now(now), now)
    return found


def test_a_wall_clock_that_is_set_back_ends_nothing_and_silences_nothing() -> None:
    machine, clock = engine(), EventClock(5)
    for second in range(20):  # an hour ahead, before time is synchronised
        clock.caught_up(0, T + 3600 + second)
        machine.tick(clock.now(T + 3600 + second), T + 3600 + second)
    assert [t.alert.state for t in steady(machine, 0, 600, clock)] == [AlertState.FIRING]


@pytest.mark.parametrize("restart", [False, True])
def test_an_end_in_the_future_does_not_silence_its_key(restart: bool) -> None:
    kept = Kept()
    machine = engine()
    assert len(run(machine, burst(200, start=3600), 3900)) == 2
    if restart:
        machine = kept.restarted(machine)
    assert [t.alert.state for t in steady(machine, 0, 60, EventClock(5))] == [AlertState.FIRING]


def test_a_condition_that_was_on_in_the_future_can_end() -> None:
    machine = engine()
    assert len(machine.feed(burst(200, start=3600), T + 3610)) == 1
    ends = [t for second in range(300) for t in machine.tick(T + second - 5, T + second)]
    assert [t.alert.state for t in ends] == [AlertState.ENDED]


def keys(machine: Engine) -> int:
    """Return how many keys the first rule counts."""
    (windows,) = msgspec.msgpack.decode(machine.snapshot(), type=Snapshot).windows.values()
    return len(windows)


def test_what_is_old_is_dropped_although_the_clock_was_set_back() -> None:
    machine = engine()
    machine.tick(None, T + 3600)
    machine.feed([event(0)], T)
    assert keys(machine) == 1
    machine.tick(None, T)
    machine.tick(None, T + 362)
    assert keys(machine) == 0


def test_an_alert_whose_rule_is_gone_is_ended_once() -> None:
    machine = engine()
    machine.feed(burst(200), T + 10)
    (alert,) = machine.firing.values()
    new = engine(errors())
    assert not new.restore(machine.snapshot(), T)
    (end,) = new.take_over([alert])
    assert end.alert.state is AlertState.ENDED
    assert new.take_changes().gone == {("client-request-rate", (CLIENT,))}


def test_what_is_read_again_after_a_crash_decides_nothing_twice() -> None:
    """The alerts are of the moment of the crash, the windows of the last snapshot before it."""
    lines = sorted(burst(200) + burst(200, start=250), key=lambda e: e.time)
    for crash in (5, 12, 60, 110, 200, 256, 300, 380):
        machine, kept, found = engine(), Kept(), []
        snapshots = []
        for second in range(600):
            now = float(T + second)
            if second % 30 == 0:
                snapshots.append((second, machine.snapshot()))
            found += machine.feed([e for e in lines if now - 1 < e.time <= now], now)
            found += machine.tick(now - 5, now)
            kept.take(machine)
            if second == crash:
                begun, snapshot = snapshots[-1]
                machine = engine()
                assert machine.restore(snapshot, now)
                machine.take_over(msgspec.json.decode(alert, type=Alert) for alert in kept.alerts.values())
                assert machine.feed([e for e in lines if T + begun - 1 < e.time <= now], now) == []
        assert [t.alert.state.value for t in found] == ["firing", "ended", "firing", "ended"], crash
        assert len({t.alert.incident for t in found}) == 2


def test_what_no_window_needs_any_more_is_dropped() -> None:
    machine = engine()
    machine.feed(burst(200), T + 10)
    machine.tick(T + 2000, T + 2000)
    machine.tick(T + 2400, T + 2400)
    machine.tick(T + 2800, T + 2800)
    assert keys(machine) == 0
    assert ("client-request-rate", (CLIENT,)) in machine.take_changes().gone
    assert machine.firing == {}


def crowded(machine: Engine, clients: int, *, start: float = 0.0) -> list[Transition]:
    """Feed one request of each of so many clients, and every tenth time one of CLIENT."""
    lines = [event(start + n / 100, client=f"198.51.{n >> 8}.{n & 255}") for n in range(clients)]
    lines += [event(start + n / 100) for n in range(0, clients, 10)]
    return run(machine, lines, int(start) + clients // 100 + 2)


def test_a_crowd_of_clients_makes_room_for_itself_and_hides_no_condition() -> None:
    machine = Engine((rate(100),), lateness_s=300, ahead_s=60, most_keys=50)
    found = crowded(machine, 2000)
    assert [(t.alert.key, t.alert.state) for t in found] == [((CLIENT,), AlertState.FIRING)]
    assert found[0].alert.peak.hits >= 100
    (evicted,) = machine.evicted.values()
    assert 1900 < evicted.keys < 2000
    assert evicted.at > T


def test_a_snapshot_with_more_keys_than_there_is_room_for_is_taken_over_in_part() -> None:
    big = engine()
    crowded(big, 500)
    small = Engine((rate(100),), lateness_s=300, ahead_s=60, most_keys=50)
    assert small.restore(big.snapshot(), T)
    assert keys(small) <= 50


@pytest.mark.parametrize("broken", [b"", b"\xc1", b"\x00", msgspec.msgpack.encode([{}, {}, b"", 0])])
def test_a_snapshot_that_does_not_fit_is_not_used(broken: bytes) -> None:
    machine = engine()
    assert not machine.restore(broken, T)
    assert keys(machine) == 0


def test_a_rule_that_was_changed_takes_over_no_counts() -> None:
    machine = engine(rate(100))
    machine.feed(burst(99), T + 10)
    assert not engine(rate(90)).restore(machine.snapshot(), T)
