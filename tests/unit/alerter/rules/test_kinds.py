"""Each kind of rule: when its condition starts, when it ends, and what a restart in between changes (nothing)."""

from __future__ import annotations

from typing import Any

import pytest

from obsctl.alerter.alerts import AlertState
from obsctl.alerter.evaluation.engine import Engine
from obsctl.alerter.rules.registry import KINDS
from obsctl.alerter.rules.rule import Rule
from obsctl.lines.event import Event
from tests.unit.alerter.builders import T, error_event, event


def rule(kind: str, **options: Any) -> Rule:
    (made,) = KINDS.read([{"name": "x", "kind": kind, "resolve_after_s": 10, **options}], "rules")
    return made


class Run:
    """An engine to which lines happen; with ``restart`` it is another one after each second."""

    def __init__(self, *rules: Rule, restart: bool = False) -> None:
        self._rules = rules
        self._restart = restart
        self._engine = self._new()

    def _new(self) -> Engine:
        return Engine(self._rules, lateness_s=300, ahead_s=60)

    def go(self, first: int, last: int, *events: Event) -> list[tuple[str, dict[str, str], int]]:
        """Let the seconds pass; return (state, labels, second after T) of what started and ended."""
        found: list[tuple[str, dict[str, str], int]] = []
        for second in range(first, last + 1):
            now = float(T + second)
            due = [e for e in events if now - 1 < e.time <= now]
            for transition in self._engine.feed(due, now) + self._engine.tick(now, now):
                found.append((transition.alert.state.value, transition.alert.labels, second))
                assert transition.alert.labels.keys() == set(self._rules[0].fields)
            if self._restart:
                new = self._new()
                assert new.restore(self._engine.snapshot(), now)
                new.take_over(self._engine._alerts.values())
                self._engine = new
        return found


@pytest.fixture(params=[False, True], ids=["one process", "restarted each second"])
def restart(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


FIRING, ENDED = AlertState.FIRING.value, AlertState.ENDED.value


def test_match_is_one_line(restart: bool) -> None:
    run = Run(rule("match", lines="error", filter="level:>=error", by=["host"], window_s=5), restart=restart)
    assert run.go(0, 5, error_event(1, level="warn")) == []
    found = run.go(6, 40, error_event(8, level="crit"), error_event(9, level="error"))
    # The last window that holds a line ends 4 s after it, and it has ended 10 s later.
    assert found == [(FIRING, {"host": "node1"}, 8), (ENDED, {"host": "node1"}, 23)]


def test_frequency_counts_each_key_and_only_what_fits(restart: bool) -> None:
    run = Run(
        rule("frequency", filter="status:404", by=["client_addr", "status"], threshold=3, window_s=10), restart=restart
    )
    lines = [event(n, status=404, client="a") for n in (1, 2, 3)]
    lines += [event(n, status=404, client="b") for n in (1, 2)] + [event(3, status=500, client="b")]
    assert run.go(0, 5, *lines) == [(FIRING, {"client_addr": "a", "status": "404"}, 3)]


def test_ratio_starts_at_the_share_and_ends_below_the_lower_one(restart: bool) -> None:
    options = {
        "hits": "status:>=500",
        "share": 0.5,
        "resolve_share": 0.2,
        "min_lines": 4,
        "window_s": 4,
        "by": ["host"],
    }
    run = Run(rule("ratio", **options), restart=restart)

    def second(at: int, bad: int) -> list[Event]:
        return [event(at + n / 10, status=500 if n < bad else 200) for n in range(4)]

    assert run.go(0, 6, *(e for at in range(5) for e in second(at, 1))) == []
    found = run.go(
        7, 60, *(e for at in range(7, 12) for e in second(at, 4)), *(e for at in range(12, 40) for e in second(at, 1))
    )
    # A quarter is above the lower share: the condition goes on until lines are missing altogether.
    assert [entry[0] for entry in found] == [FIRING, ENDED]
    assert found[1][2] > 45


def test_ratio_needs_its_sample() -> None:
    run = Run(rule("ratio", hits="status:>=500", share=0.5, min_lines=10))
    assert run.go(0, 5, *(event(1 + n / 20, status=500) for n in range(9))) == []


@pytest.mark.parametrize(("slow", "starts"), [(5, False), (6, True)])
def test_percentile_is_above_the_limit_when_more_than_the_rest_are(slow: int, starts: bool) -> None:
    """Of 100 values with 5 above the limit, the 95th is not above it (nearest rank)."""
    lines = [event(1 + n / 200, request_time=2.0 if n < slow else 0.1) for n in range(100)]
    lines += [event(1.6) for _ in range(50)]  # without the number
    run = Run(rule("percentile", percentile=95, above=1.0, min_lines=100))
    assert bool(run.go(0, 5, *lines)) is starts


def test_flatline_knows_a_host_that_was_silent_since_the_start(restart: bool) -> None:
    run = Run(rule("flatline", by=["host"], expect=["node1", "node2"], window_s=20), restart=restart)
    lines = [event(n, host=host) for n in range(100) for host in ("node1", "node9")]
    found = run.go(1, 60, *lines)
    assert found == [(FIRING, {"host": "node2"}, 21)]
    assert run.go(61, 89, *lines, event(70, host="node2")) == [(ENDED, {"host": "node2"}, 79)]


def test_flatline_of_the_whole_fleet(restart: bool) -> None:
    run = Run(rule("flatline", window_s=20), restart=restart)
    assert run.go(0, 60, *(event(n) for n in range(30))) == [(FIRING, {}, 49)]
    assert run.go(61, 81, event(62)) == [(ENDED, {}, 71)]


@pytest.mark.parametrize("options", [{}, {"by": ["host"], "expect": ["node1"]}])
def test_flatline_of_what_must_have_lines_lasts_for_days(restart: bool, options: dict[str, Any]) -> None:
    run = Run(rule("flatline", window_s=20, **options), restart=restart)
    assert [entry[::2] for entry in run.go(1, 30, event(1, host="node1"))] == [(FIRING, 21)]
    for day in range(1, 4):
        assert run.go(day * 86_400, day * 86_400 + 60) == []
    back = 4 * 86_400
    assert [entry[::2] for entry in run.go(back - 5, back + 15, event(back, host="node1"))] == [(ENDED, back + 9)]


def test_spike_is_many_times_what_the_key_itself_usually_has(restart: bool) -> None:
    run = Run(rule("spike", factor=5, min_lines=20, window_s=12, baseline_s=60, by=["host"]), restart=restart)
    usual = [
        event(n + k / 10, host=host) for n in range(200) for host, often in (("a", 1), ("b", 9)) for k in range(often)
    ]
    assert run.go(0, 100, *usual) == []
    busy = [event(n + k / 20 + 0.001, host="a") for n in range(101, 110) for k in range(9)]
    found = run.go(101, 160, *usual, *busy)
    assert [entry[:2] for entry in found] == [(FIRING, {"host": "a"}), (ENDED, {"host": "a"})]


def test_spike_says_nothing_before_it_knows_what_is_usual() -> None:
    run = Run(rule("spike", factor=2, min_lines=5, window_s=12, baseline_s=60))
    assert run.go(0, 20, *(event(n + k / 50) for n in range(5, 20) for k in range(40))) == []


def test_cardinality_counts_different_values(restart: bool) -> None:
    run = Run(rule("cardinality", of="uri", by=["client_addr"], threshold=5, window_s=10), restart=restart)
    lines = [event(1 + n / 10, client="one", uri=f"/{n % 4}") for n in range(40)]
    lines += [event(1 + n, client="scanner", uri=f"/{n}") for n in range(9)]
    found = run.go(0, 60, *lines)
    assert [entry[:2] for entry in found] == [
        (FIRING, {"client_addr": "scanner"}),
        (ENDED, {"client_addr": "scanner"}),
    ]
    assert found[0][2] == 5


def test_cardinality_remembers_no_more_values_than_it_needs() -> None:
    made = rule("cardinality", of="uri", threshold=5)
    window = made.new_window()
    for n in range(20_000):
        window.add(n, {f"/{n}"})
    assert window.weight <= 2000
    assert next(made.holding(window, 0, 19_999))[1].hits >= 60


def test_new_term_learns_first(restart: bool) -> None:
    run = Run(rule("new_term", by=["vhost"], learn_s=60), restart=restart)
    known = [event(n, vhost="www") for n in range(0, 200, 5)]
    assert run.go(0, 70, *known, event(30, vhost="api")) == []
    found = run.go(71, 120, *known, event(80, vhost="api"), event(81, vhost="evil"), event(82, vhost="evil"))
    assert found == [(FIRING, {"vhost": "evil"}, 81), (ENDED, {"vhost": "evil"}, 91)]


def test_change_is_another_value_than_before(restart: bool) -> None:
    run = Run(rule("change", of="upstream_addr", by=["vhost"]), restart=restart)
    lines = [event(n, vhost="www", upstream_addr="10.0.0.1:80" if n < 20 else "10.0.0.2:80") for n in range(60)]
    lines += [event(n, vhost="api", upstream_addr="10.0.0.9:80") for n in range(60)]
    found = run.go(0, 59, *lines)
    assert found == [(FIRING, {"vhost": "www"}, 20), (ENDED, {"vhost": "www"}, 30)]


def test_a_late_line_is_no_change() -> None:
    run = Run(rule("change", of="upstream_addr"))
    assert run.go(0, 5, event(3, upstream_addr="new")) == []
    assert run._engine.feed([event(1, upstream_addr="old")], T + 6) == []


@pytest.mark.parametrize("kind", sorted(KINDS.by_tag))
def test_every_kind_is_restored_from_a_snapshot(kind: str) -> None:
    needed: dict[str, dict[str, Any]] = {
        "cardinality": {"of": "uri", "threshold": 5},
        "change": {"of": "uri"},
        "frequency": {"threshold": 5},
        "metric": {"metric": "up", "below": 1},
        "new_term": {"by": ["vhost"]},
        "percentile": {"above": 1.0},
        "ratio": {"hits": "status:500", "share": 0.5},
        "requests_per_client": {"threshold": 5},
        "spike": {"factor": 2},
        "status_4xx": {"threshold": 5},
        "status_5xx_share": {"share": 0.5, "min_requests": 5},
    }
    made = rule(kind, **needed.get(kind, {}))
    first, second = (Engine((made,), lateness_s=300, ahead_s=60) for _ in range(2))
    first.feed([event(n, uri=f"/{n}", status=400 + n, vhost="v", request_time=2.0) for n in range(5)], T + 5)
    assert second.restore(first.snapshot(), T + 5)
    assert second.snapshot() == first.snapshot()


def test_of_several_servers_the_last_one_is_the_key() -> None:
    run = Run(rule("frequency", by=["upstream_addr", "status"], threshold=2, window_s=10))
    lines = [event(1, upstream_addr=text) for text in ("10.0.0.1:80, 10.0.0.2:80", "10.0.0.1:80 : 10.0.0.2:80")]
    assert run.go(0, 2, *lines) == [(FIRING, {"upstream_addr": "10.0.0.2:80", "status": "200"}, 1)]
