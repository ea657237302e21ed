"""Each rule's condition at its edge."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from obsctl.alerter.rules.rule import Rule
from obsctl.alerter.windows.window import HIT, LINE, Window, hits, total
from tests.unit.alerter.builders import CLIENT, errors, event, rate, share


def counted(rule: Rule, *statuses: int, client: str = CLIENT) -> dict[object, tuple[int, int]]:
    """Return (lines, hits) by key of requests with these statuses."""
    lines = [(0, event(0, client=client, status=status).line) for status in statuses]
    return {key: (total(count), hits(count)) for (key, _), count in rule.counter()(lines).items()}


def window(lines: int, lines_hit: int) -> Window:
    made = Window()
    made.add(0, (lines - lines_hit) * LINE + lines_hit * HIT)
    return made


def holds(rule: Rule, lines: int, lines_hit: int) -> bool:
    return bool(list(rule.holding(window(lines, lines_hit), 0, 0)))


def test_the_rate_belongs_to_the_client_and_every_request_counts() -> None:
    rule = rate(100)
    assert counted(rule, 200, 500) == {CLIENT: (2, 2)}
    assert rule.labels(CLIENT) == {"client_addr": CLIENT}
    assert not holds(rule, 99, 99)
    assert holds(rule, 100, 100)


@pytest.mark.parametrize(("status", "hit"), [(399, False), (400, True), (499, True), (500, False)])
def test_4xx_are_400_to_499(status: int, hit: bool) -> None:
    assert counted(errors(), status) == ({(): (1, 1)} if hit else {})


@pytest.mark.parametrize(("status", "hit"), [(499, False), (500, True), (599, True), (600, False)])
def test_5xx_are_500_to_599_of_all_answers(status: int, hit: bool) -> None:
    assert counted(share(), status) == {(): (1, int(hit))}


@pytest.mark.parametrize(
    ("lines", "lines_hit", "expected"),
    [(99, 99, False), (100, 4, False), (100, 5, True), (1000, 49, False), (1000, 50, True), (100, 0, False)],
)
def test_a_share_needs_its_sample(lines: int, lines_hit: int, expected: bool) -> None:
    assert holds(share(0.05, 100), lines, lines_hit) is expected


@pytest.mark.parametrize("part", [0.01, 0.05, 0.07, 0.1, 0.29, 0.57])
def test_a_share_reached_exactly_counts_in_spite_of_binary_fractions(part: float) -> None:
    assert holds(share(part, 1), 100, round(100 * part))


def test_a_window_may_hold_where_the_whole_does_not() -> None:
    assert share(0.5, 10).possible(window(1000, 10))
    assert not share(0.5, 10).possible(window(9, 9))
    assert not share(0.5, 10).possible(window(1000, 0))


def test_ignored_clients_are_not_counted() -> None:
    rule = replace(rate(100), ignore_clients=("203.0.113.0/24",))
    assert counted(rule, 200) == {}
    assert counted(rule, 200, client="198.51.100.1") == {"198.51.100.1": (1, 1)}
    assert counted(rule, 200, client="unix:") == {"unix:": (1, 1)}
    assert counted(rule, 200, client="") == {}
