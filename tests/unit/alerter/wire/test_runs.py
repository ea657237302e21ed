"""Lines of tests: what they make, and that nothing of people's alerts knows of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from obsctl.alerter.messages.message import Kind, Writer
from obsctl.alerter.messages.templates import Language, Templates
from obsctl.alerter.notify.of_rules import notification_plan
from obsctl.alerter.notify.options import NotifyOptions
from obsctl.alerter.rules.rule import Rule
from obsctl.alerter.wire.plan import digest_of
from obsctl.alerter.wire.runs import Decided, Runs
from obsctl.core.rule_test import Arrival, RunOnPage
from obsctl.lines.event import Event
from tests.unit.alerter.builders import T, event, rate, share

RUN = "0123456789ab"


class World:
    """The tests of an alerter with some rules, and a clock."""

    def __init__(self, *rules: Rule, **options: Any) -> None:
        chosen = msgspec.convert(options, NotifyOptions)
        self.plan = notification_plan(chosen, rules, ["chat", "mail"])
        self.runs = Runs(rules, self.plan, lateness_s=300, ahead_s=60)
        self.now = float(T)
        self.arrivals: list[Arrival] = []
        self.asked: list[str] = []

    def go(self, events: Iterable[Event] = (), seconds: float = 0.2) -> list[Decided]:
        self.now += seconds
        for one in events:
            self.runs.take(one, self.now)
        return self.runs.turn(self.now - 5, self.now, {}, self._lookup)

    def seen(self) -> list[RunOnPage]:
        return list(self.runs.page(self.now).runs)

    def _lookup(self, message_id: str) -> list[Arrival]:
        self.asked.append(message_id)
        return self.arrivals


def mark(rule: Rule, run: str = RUN) -> str:
    return run + digest_of(rule)


def flood(rule: Rule, count: int, *, at: float = 0.0, run: str = RUN, **fields: Any) -> list[Event]:
    events = [event(at, **fields) for _ in range(count)]
    for one in events:
        one.mark = mark(rule, run)
    return events


def test_a_condition_makes_one_message_along_the_real_route() -> None:
    rule = rate(100)
    world = World(rule, routes=[{"name": "all", "channels": ["mail"], "group_wait_s": 60}])
    assert world.go(flood(rule, 99)) == []
    (decided,) = world.go(flood(rule, 1))
    assert (decided.mark, decided.about.channels, decided.about.route) == (mark(rule), ("mail",), "all")
    assert decided.about.alerts[0].rule == rule.name
    assert world.go(flood(rule, 500), seconds=60) == [], "one message a test"
    (seen,) = world.seen()
    assert (seen.rule, seen.lines, seen.seen_at, seen.true_at) == (rule.name, 600, T + 0.2, T + 0.4)
    assert seen.decided_at == seen.true_at


def test_nothing_holds_a_test_back_but_how_long_its_condition_lasts() -> None:
    rule = msgspec.structs.replace(rate(10), for_s=20)
    world = World(
        rule,
        inhibitions=[{"name": "i", "source": "rule:*", "target": "rule:*"}],
        mute_windows=[{"name": "always", "from": "00:00", "to": "24:00", "severities": []}],
    )
    assert world.go(flood(rule, 10)) == []
    assert world.seen()[0].held == "for 20 s"
    assert world.go(seconds=19) == []
    (decided,) = world.go(seconds=2)
    assert decided.about.started == 1
    assert world.seen()[0].held == ""


def test_what_ends_too_early_is_said() -> None:
    rule = msgspec.structs.replace(rate(10, window_s=2, hold_s=2), for_s=60)
    world = World(rule)
    world.go(flood(rule, 10))
    for _ in range(20):
        assert world.go(seconds=1) == []
    (seen,) = world.seen()
    assert "ended meanwhile" in seen.held
    assert (seen.true_at > 0, seen.decided_at) == (True, 0.0)


def test_a_route_without_channels_is_named() -> None:
    rule = rate(10)
    world = World(rule, routes=[{"name": "nobody", "channels": []}])
    assert world.go(flood(rule, 10)) == []
    assert world.seen()[0].held == "route nobody"


def test_tests_of_several_rules_do_not_touch_each_other() -> None:
    """Hundred requests that are well would hide the failures of another test, were they counted together."""
    hammer, failing = rate(100), share(0.5, 50)
    world = World(hammer, failing)
    events = [*flood(hammer, 100, status=200), *flood(failing, 50, status=503)]
    assert {one.mark for one in world.go(events)} == {mark(hammer), mark(failing)}
    again = world.go([*flood(hammer, 99, run="ba9876543210"), *flood(hammer, 1, run="cccccccccccc")], seconds=1)
    assert again == [], "nor do two runs"


def test_a_rule_with_other_options_is_not_evaluated_and_says_so() -> None:
    deployed, planned = rate(100), rate(10)
    world = World(deployed)
    assert world.go(flood(planned, 50)) == []
    (seen,) = world.seen()
    assert (seen.mark, seen.rule, seen.lines) == (mark(planned), "", 50)


def test_a_mark_of_another_form_is_no_rule() -> None:
    world = World(rate(1))
    stray = event(0)
    stray.mark = "abcdefgh"
    assert world.go([stray]) == []
    assert world.seen()[0].rule == ""


def test_the_message_is_followed_until_each_channel_has_it() -> None:
    rule = rate(10)
    world = World(rule)
    world.go(flood(rule, 10))
    world.arrivals = [Arrival(channel="chat", state="pending"), Arrival(channel="mail", state="delivered", at=T + 1)]
    world.go()
    assert [one.state for one in world.seen()[0].channels] == ["pending", "delivered"]
    world.arrivals = [Arrival(channel="chat", state="delivered"), Arrival(channel="mail", state="delivered")]
    world.go()
    asked = len(world.asked)
    world.go()
    assert len(world.asked) == asked
    assert set(world.asked) == {f"test-{mark(rule)}"}


def test_nothing_is_done_while_nobody_tests() -> None:
    world = World(rate(1))
    assert world.go() == []
    assert world.asked == []
    assert world.seen() == []


def test_too_many_lines_and_tests_are_left_out_and_said() -> None:
    rule = rate(1_000_000, window_s=3600)
    world = World(rule)
    world.go(flood(rule, 5000))
    (seen,) = world.seen()
    assert (seen.lines, seen.left_out) == (2000, 3000)
    world.now += 1
    for number in range(60):
        world.go(flood(rule, 1, run=f"{number:012d}"), seconds=1)
    assert len(world.seen()) == 50
    assert len(world.runs._open) <= 32


def test_a_run_is_forgotten_after_an_hour() -> None:
    rule = rate(10)
    world = World(rule)
    world.go(flood(rule, 9))
    world.go(seconds=3601)
    assert not world.runs._open
    assert world.go(flood(rule, 1, at=3601.0)) == []


def test_a_line_that_is_sent_again_counts_once() -> None:
    rule = rate(10)
    world = World(rule)
    events = flood(rule, 5)
    assert world.go([*events, *events]) == []


@pytest.mark.parametrize("language", Language)
def test_the_message_says_that_nothing_is_wrong_and_mentions_nobody(language: Language) -> None:
    rule = rate(10)
    world = World(rule)
    (decided,) = world.go(flood(rule, 10))
    writer = Writer([rule], Templates(language))
    message = writer.rule_test(decided.about, decided.tops, decided.mark)
    real = writer.message(decided.about, decided.tops)
    assert message.kind is Kind.TEST
    assert message.title == f"[{'TEST' if language is Language.ENGLISH else '测试'}] {real.title}"
    assert rule.name in message.lines[0]
    assert "Nothing is wrong" in message.lines[0] or "一切正常" in message.lines[0]
    assert set(real.lines) < set(message.lines)
    assert "severity" not in message.facts
    assert message.id != real.id
