"""What a message says of the lines: a sample, of the window whose count stands beside it."""

from __future__ import annotations

from obsctl.alerter.evaluation.engine import Engine
from obsctl.alerter.evaluation.line_sample import Tops
from tests.unit.alerter.builders import T, engine, event, rate


def full(machine: Engine, first: float, count: int, uri: str) -> None:
    machine.feed([event(first + n / 100, uri=uri) for n in range(count)], T + first + count / 100)


def test_the_values_are_of_the_worst_window_when_the_message_is_written() -> None:
    machine = engine(rate(10))
    full(machine, 0, 10, "/a")
    (alert,) = machine.firing.values()
    assert alert.peak.hits == 10
    full(machine, 1, 30, "/b")
    top = Tops(machine.top).of([alert])[alert.incident]
    assert (alert.peak.hits, top.hits, top.lines, top.kept) == (40, 40, 40, 40)
    assert top.values["uri"] == (("/b", 30), ("/a", 10))


def test_a_smaller_window_later_changes_neither_count_nor_values() -> None:
    machine = engine(rate(10))
    tops = Tops(machine.top)
    full(machine, 0, 40, "/a")
    (alert,) = machine.firing.values()
    before = tops.of([alert])
    full(machine, 100, 20, "/b")
    assert alert.peak.hits == 40
    assert tops.of([alert]) == before


def test_what_is_known_outlives_the_lines_and_the_alert() -> None:
    machine = engine(rate(10))
    tops = Tops(machine.top)
    full(machine, 0, 40, "/a")
    (alert,) = machine.firing.values()
    before = tops.of([alert])
    machine.tick(T + 200, T + 200)
    assert not machine.firing
    full(machine, 210, 20_000, "/b")
    assert tops.of([alert]) == before


def test_of_a_window_that_is_partly_gone_the_rest_is_counted() -> None:
    machine = engine(rate(10))
    full(machine, 0, 15_000, "/a")
    (alert,) = machine.firing.values()
    top = machine.top(alert)
    assert top is not None
    # 100 lines a second: the worst window is the first minute, and the sample begins at its second 50.
    assert (alert.peak.hits, top.kept, top.lines, top.hits) == (6000, 10_000, 1000, 1000)
    full(machine, 150, 10_000, "/b")
    assert machine.top(alert) is None


def test_a_turn_looks_at_few_alerts_and_remembers_few() -> None:
    machine = engine(rate(1))
    asked: list[str] = []

    def top(alert: object) -> None:
        asked.append(str(alert))

    machine.feed([event(1, client=f"192.0.2.{n}") for n in range(50)], T + 1)
    tops = Tops(top)  # type: ignore[arg-type]
    tops.of(machine.firing.values())
    assert len(asked) == 5
    # A line that was checked without success is not checked again.
    tops.of(list(machine.firing.values())[:5])
    assert len(asked) == 5
