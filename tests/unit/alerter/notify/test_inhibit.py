"""Stage inhibit: an alert that another one explains is not sent."""

from __future__ import annotations

from typing import Any

import pytest

from obsctl.alerter.alerts import Level
from tests.unit.alerter.notify.world import T, World

ONE, OTHER = "10.0.0.1:8080", "10.0.0.2:8080"


def world(**options: Any) -> World:
    inhibition = {
        "name": "dead-upstream",
        "source": "rule:upstream-down",
        "target": "rule:upstream-5xx",
        "equal": ["upstream"],
        "keep_s": 60,
    }
    return World({"inhibitions": [inhibition | options]})


def down(w: World, upstream: str = ONE) -> None:
    w.start(upstream, rule="upstream-down", label="upstream")


def errors(w: World, upstream: str = ONE) -> None:
    w.start(upstream, rule="upstream-5xx", label="upstream")


def test_a_dead_upstream_explains_its_own_5xx_and_no_others() -> None:
    w = world()
    down(w)
    errors(w)
    errors(w, OTHER)
    said = w.run(30)
    assert sorted((n.labels["rule"], n.total) for n in said) == [("upstream-5xx", 1), ("upstream-down", 1)]
    assert next(n for n in said if n.labels["rule"] == "upstream-5xx").alerts[0].labels == {"upstream": OTHER}
    assert w.suppressed == [("inhibit", f"dead-upstream upstream={ONE}", 0)]


def test_the_source_may_come_second_while_the_target_waits_for_its_group() -> None:
    w = world()
    errors(w)
    w.run(0.4)
    down(w)
    assert [n.labels["rule"] for n in w.run(30)] == ["upstream-down"]


def test_what_outlasts_its_explanation_is_sent() -> None:
    w = world()
    down(w)
    errors(w)
    w.run(100)
    w.end(ONE, rule="upstream-down")
    assert [n.labels["rule"] for n in w.run(55)] == ["upstream-down"]
    (said,) = w.run(30)
    assert (said.labels["rule"], said.reason) == ("upstream-5xx", "first")
    assert 160 <= said.at - T <= 163


def test_what_ends_with_its_explanation_is_a_record_and_no_message() -> None:
    w = world()
    down(w)
    errors(w)
    w.run(100)
    w.end(ONE, rule="upstream-down")
    w.run(30)
    w.end(ONE, rule="upstream-5xx")
    w.run(600)
    assert {n.labels["rule"] for n in w.said} == {"upstream-down"}
    assert w.suppressed[-1] == ("inhibit", f"dead-upstream upstream={ONE}", 1)


@pytest.mark.parametrize("later", [0, 30])
def test_an_inhibition_outlives_a_restart(later: float) -> None:
    w = world()
    down(w)
    errors(w)
    w.run(100)
    w.end(ONE, rule="upstream-down")
    w.turn()
    w.run(later)
    w.restart()
    assert "upstream-5xx" not in {n.labels["rule"] for n in w.run(155 - (w.now - T))}
    assert "upstream-5xx" in {n.labels["rule"] for n in w.run(30)}


def test_an_end_that_readers_wait_for_comes_when_the_explanation_is_gone() -> None:
    w = world()
    errors(w)
    w.run(10)
    down(w)
    w.run(100)
    w.end(ONE, rule="upstream-5xx")
    w.run(10)
    assert [n.reason for n in w.said if n.labels["rule"] == "upstream-5xx"] == ["first"]
    w.end(ONE, rule="upstream-down")
    w.run(120)
    assert [n.reason for n in w.said if n.labels["rule"] == "upstream-5xx"] == ["first", "resolved"]


def test_the_last_of_several_sources_counts() -> None:
    w = world(source="kind:frequency", target="rule:upstream-5xx", equal=["kind"], keep_s=0)
    # A target that is a source itself is not hidden, so that two alerts cannot hide each other.
    errors(w)
    down(w)
    assert len(w.run(2)) == 2
    w = world(equal=[])
    down(w)
    down(w, OTHER)
    errors(w)
    w.run(10)
    w.end(ONE, rule="upstream-down")
    w.run(300)
    assert "upstream-5xx" not in {n.labels["rule"] for n in w.said}
    w.end(OTHER, rule="upstream-down")
    w.run(65)
    assert "upstream-5xx" in {n.labels["rule"] for n in w.said}


def test_an_alert_without_the_label_is_not_explained() -> None:
    w = world()
    w.start(rule="upstream-down")
    w.start(rule="upstream-5xx")
    assert len(w.run(2)) == 2


def test_a_source_whose_severity_falls_is_none_any_more() -> None:
    w = world(source="rule:upstream-down AND severity:critical")
    w.start(ONE, rule="upstream-down", label="upstream", severity=Level.CRITICAL)
    errors(w)
    assert len(w.run(10)) == 1
    w.severity(Level.WARNING, ONE, rule="upstream-down")
    assert [n.labels["rule"] for n in w.run(5)] == ["upstream-5xx"]
