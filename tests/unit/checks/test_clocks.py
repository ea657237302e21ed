"""Which clocks are proved wrong by answers over ssh."""

from __future__ import annotations

import pytest

from obsctl.checks.health.clocks import HERE, Clock, judge_clocks
from obsctl.core.report import Severity


def found(took_s: float = 0.4, **ahead_s: float) -> dict[str, float]:
    """Return the findings' objects and proved seconds, for clocks that are ahead of this machine's."""
    clocks = {
        name: Clock(asked=1000, answered=1000 + took_s, shown=1000 + took_s / 2 + s) for name, s in ahead_s.items()
    }
    return {finding.object: finding.evidence["ahead_s"] for finding in judge_clocks(clocks)}


def test_clocks_that_agree_are_no_finding() -> None:
    assert found(a=0, b=0.3, c=-0.4) == {}
    assert found() == {}


def test_the_clock_that_differs_is_named_with_what_is_proved() -> None:
    assert found(a=0, b=10, c=0.1) == {"clock/b": pytest.approx(9.6, abs=0.21)}
    assert found(a=0, b=-10, c=0.1) == {"clock/b": pytest.approx(-9.6, abs=0.21)}
    assert found(a=10) == {"clock/a": pytest.approx(9.8)}
    assert found(a=0, b=10) == {"clock/b": pytest.approx(9.8, abs=0.21)}


def test_where_the_hosts_agree_it_is_this_machines_clock() -> None:
    assert found(a=30, b=30.1, c=29.9, d=30) == {f"clock/{HERE}": pytest.approx(-29.8, abs=0.2)}
    assert found(a=30, b=30.1) == {f"clock/{HERE}": pytest.approx(-29.8, abs=0.2)}


def test_a_slow_answer_proves_nothing() -> None:
    assert found(took_s=6, a=4, b=0, c=0) == {}
    assert found(took_s=0.1, a=4, b=0, c=0) == {"clock/a": pytest.approx(3.9)}


def test_a_minute_is_critical() -> None:
    clocks = {
        name: Clock(asked=1000, answered=1000.1, shown=1000.05 + ahead)
        for name, ahead in (("a", 5), ("b", -90), ("c", 0))
    }
    found = {finding.object: finding for finding in judge_clocks(clocks)}
    assert found["clock/a"].severity is Severity.WARNING
    assert found["clock/b"].severity is Severity.CRITICAL
    assert "behind the others" in found["clock/b"].summary
    assert "on b: `timedatectl status`" in found["clock/b"].hint
