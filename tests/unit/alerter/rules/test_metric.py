"""Rules about the pipeline's own numbers: by the wall clock, with what a page that cannot be read leaves open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from obsctl.alerter.alerts import Alert, AlertState
from obsctl.alerter.evaluation.engine import Engine
from obsctl.alerter.messages.templates import Templates
from obsctl.alerter.rules.registry import KINDS
from obsctl.alerter.rules.rule import Rule
from obsctl.alerter.windows.observation import SOURCE, Number, observation
from obsctl.core.config_file import InvalidValueError
from tests.unit.alerter.builders import T, event, rate

FIRING, ENDED = AlertState.FIRING.value, AlertState.ENDED.value
LAG = "obsctl_consumer_lag"
Page = Iterable[tuple[dict[str, str], float]] | None


def rule(**options: Any) -> Rule:
    (made,) = KINDS.read([{"name": "x", "kind": "metric", "metric": LAG, "resolve_after_s": 20, **options}], "rules")
    return made


class Watch:
    """An engine that is shown pages; with ``restart`` it is another one after each of them."""

    def __init__(self, *rules: Rule, restart: bool = False) -> None:
        self._rules = rules
        self._restart = restart
        self.engine = self._new()

    def _new(self) -> Engine:
        return Engine(self._rules, lateness_s=300, ahead_s=60)

    def see(self, second: int, pages: Mapping[str, Page]) -> list[tuple[str, dict[str, str]]]:
        """Return (state, labels) of what a look at the pages starts and ends; None is a page that cannot be read."""
        now = float(T + second)
        read = {
            name: None if page is None else [Number(LAG, {**labels, SOURCE: name}, value) for labels, value in page]
            for name, page in pages.items()
        }
        changed = self.engine.observe(observation(now, read), now)
        assert self.engine.tick(now, now) == [], "lines have no say in it"
        for transition in changed:
            assert_readable(self._rules[0], transition.alert)
        if self._restart:
            new = self._new()
            assert new.restore(self.engine.snapshot(), now)
            new.take_over(self.engine._alerts.values())
            self.engine = new
        return [(transition.alert.state.value, transition.alert.labels) for transition in changed]

    def values(self, first: int, values: Iterable[float | None]) -> list[tuple[str, int]]:
        """Show one number each ten seconds, None for an unreadable page; return (state, second) of what changes."""
        found = []
        for number, value in enumerate(values):
            second = first + 10 * number
            page: Page = None if value is None else [({}, value)]
            found += [(state, second) for state, _ in self.see(second, {"a": page})]
        return found


def words(made: Rule, alert: Alert) -> tuple[str, str]:
    templates = Templates()
    return templates.of_kind("metric", "measured", made, alert.peak), templates.of_kind("metric", "limit", made)


def assert_readable(made: Rule, alert: Alert) -> None:
    for text in (*words(made, alert), made.next_step(alert.labels)):
        assert text
        assert "None" not in text


@pytest.fixture(params=[False, True], ids=["one process", "restarted after each look"])
def restart(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def test_it_starts_above_the_limit_and_ends_below_the_lower_one(restart: bool) -> None:
    watch = Watch(rule(above=100, resolve_above=50), restart=restart)
    found = watch.values(0, [100, 101, 60, 60, 60, 51, 50, 50, 50])
    assert found == [(FIRING, 10), (ENDED, 70)]


def test_without_a_lower_limit_it_ends_at_the_limit() -> None:
    assert Watch(rule(above=100)).values(0, [101, 100, 100, 100]) == [(FIRING, 0), (ENDED, 20)]


def test_below_is_the_other_way_round(restart: bool) -> None:
    watch = Watch(rule(below=0.1, resolve_below=0.2), restart=restart)
    assert watch.values(0, [0.1, 0.05, 0.15, 0.15, 0.2, 0.2]) == [(FIRING, 10), (ENDED, 50)]
    (alert,) = watch.engine._alerts.values()
    assert words(rule(below=0.1), alert) == (f"{LAG} 0.05", f"{LAG} below 0.1 for each source")


def test_each_value_of_the_labels_is_an_alert_judged_by_its_worst_number() -> None:
    watch = Watch(rule(above=5, by=["topic"], match={"partition": "0"}))
    page = [({"topic": topic, "partition": part}, value) for topic, part, value in
            [("a", "0", 9), ("a", "1", 1), ("b", "0", 1), ("b", "1", 99), ("c", "0", 6)]]  # fmt: skip
    assert watch.see(0, {"one": page, "two": [({"topic": "b", "partition": "0"}, 7)]}) == [
        (FIRING, {"topic": "a"}),
        (FIRING, {"topic": "b"}),
        (FIRING, {"topic": "c"}),
    ]


def test_what_a_page_said_stays_while_it_cannot_be_read(restart: bool) -> None:
    watch = Watch(rule(above=100), restart=restart)
    found = watch.values(0, [101, *[None] * 50, 100, 100, 100])
    assert [state for state, _ in found] == [FIRING, ENDED]
    assert found[1][1] > 510


def test_nothing_starts_while_the_page_cannot_be_read(restart: bool) -> None:
    assert Watch(rule(above=100), restart=restart).values(0, [100, *[None] * 20]) == []


def test_an_alert_whose_number_was_never_seen_since_the_rules_changed_stays_on() -> None:
    old = Watch(rule(above=100))
    assert old.values(0, [101]) == [(FIRING, 0)]
    new = Watch(rule(above=99))
    new.engine.take_over(old.engine._alerts.values())
    assert new.values(10, [None] * 20) == []
    assert new.values(300, [1, 1, 1]) == [(ENDED, 300)]


def test_a_number_that_a_readable_page_no_longer_has_ends_its_alert(restart: bool) -> None:
    watch = Watch(rule(above=100, by=["partition"]), restart=restart)
    one, two = ({"partition": "1"}, 101.0), ({"partition": "2"}, 101.0)
    assert len(watch.see(0, {"a": [one, two]})) == 2
    found = [change for second in range(10, 60, 10) for change in watch.see(second, {"a": [one]})]
    assert found == [(ENDED, {"partition": "2"})]


def test_the_alert_about_a_page_that_is_watched_no_longer_ends() -> None:
    watch = Watch(rule(metric="up", below=1))
    assert watch.see(0, {"a": None, "b": []}) == [(FIRING, {"source": "a"})]
    assert [change for second in (10, 20, 30) for change in watch.see(second, {"b": []})] == [(ENDED, {"source": "a"})]


def test_whether_a_page_can_be_read_is_a_number(restart: bool) -> None:
    watch = Watch(rule(metric="up", below=1), restart=restart)
    found = watch.values(0, [1, 1, None, None, 1, 1, 1])
    assert found == [(FIRING, 20), (ENDED, 50)]


def test_a_rise_is_that_of_the_window(restart: bool) -> None:
    watch = Watch(rule(increase=True, above=100, window_s=60), restart=restart)
    # 25 in ten seconds are 150 in a minute; the window holds more than 100 for the last time at 90.
    found = watch.values(0, [1000, 1000, *range(1025, 1176, 25), *[1175] * 12])
    assert found == [(FIRING, 60), (ENDED, 110)]


def test_a_slow_rise_is_none() -> None:
    assert Watch(rule(increase=True, above=100, window_s=60)).values(0, range(0, 1000, 10)) == []


def test_a_counter_that_began_again_has_risen_by_what_it_shows(restart: bool) -> None:
    watch = Watch(rule(increase=True, above=100, window_s=60), restart=restart)
    assert watch.values(0, [5000, 5000, None, None, 90, 101]) == [(FIRING, 50)]


def test_what_a_counter_has_at_the_first_look_is_no_rise() -> None:
    assert Watch(rule(increase=True, above=100, window_s=60)).values(0, [5000, 5000]) == []


def test_too_small_a_rise_is_seen_after_a_whole_window() -> None:
    assert Watch(rule(increase=True, below=5, window_s=60)).values(0, [7] * 8) == [(FIRING, 60)]


def test_a_clock_that_was_set_back_starts_and_ends_nothing() -> None:
    watch = Watch(rule(increase=True, above=100, window_s=60))
    assert watch.values(5000, [1000, 1050]) == []
    assert watch.values(0, [1050, 1050, 1100, 1130]) == []
    assert watch.values(40, [1180]) == [(FIRING, 40)]


def test_lines_are_no_concern_of_it_nor_it_of_lines() -> None:
    watch = Watch(rule(above=100), rate(10))
    assert watch.values(0, [101]) == [(FIRING, 0)]
    started = watch.engine.feed([event(1 + n / 100) for n in range(10)], T + 2)
    assert [transition.alert.rule for transition in started] == ["client-request-rate"]
    for second in range(10, 210, 10):
        seen = observation(T + second, {"a": [Number(LAG, {SOURCE: "a"}, 101)]})
        assert watch.engine.observe(seen, T + second) == []
    ended = watch.engine.tick(T + 205, T + 205)
    assert [transition.alert.rule for transition in ended] == ["client-request-rate"]


def test_the_numbers_that_are_kept_are_those_of_the_window() -> None:
    watch = Watch(rule(increase=True, above=1e9, window_s=60))
    watch.values(0, range(1000))
    (window,) = watch.engine._watched["x"].windows.values()
    assert len(window.dump()[1][0][2]) <= 8


@pytest.mark.parametrize(
    ("options", "key", "words"),
    [
        ({}, "above", "either above or below"),
        ({"above": 1, "below": 2}, "above", "either above or below"),
        ({"above": 1, "resolve_above": 2}, "resolve_above", "at most above"),
        ({"below": 1, "resolve_below": 0.5}, "resolve_below", "at least below"),
        ({"below": 1, "resolve_above": 0.5}, "resolve_above", "goes with above"),
        ({"above": 1, "resolve_below": 0.5}, "resolve_below", "goes with below"),
        ({"metric": "obsctl_consumer_lags", "above": 1}, "metric", "did you mean obsctl_consumer_lag?"),
        ({"metric": "obsctl_alerter", "above": 1}, "metric", "has a metric 'obsctl_alerter'"),
        ({"above": 1, "by": ["source", "class"]}, "by[1]", "cannot have a label 'class'"),
        ({"above": 1, "by": ["a b"]}, "by[0]", "cannot have a label 'a b'"),
        ({"above": 1, "by": ["__name__"]}, "by[0]", "cannot have a label '__name__'"),
        ({"metric": "a b", "above": 1}, "metric", "regex"),
    ],
)
def test_each_mistake_is_named(options: dict[str, Any], key: str, words: str) -> None:
    with pytest.raises(InvalidValueError) as fault:
        rule(**options)
    assert fault.value.key.endswith(f".{key}")
    assert words in str(fault.value)


def test_a_foreign_number_is_remarked_upon() -> None:
    assert "node_load1" in rule(metric="node_load1", above=4).remark
    assert [rule(metric=name, above=4).remark for name in ("up", LAG)] == ["", ""]
