"""Each rule's condition at its edge."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from obsctl.alerter.rules.rule import FLEET
from obsctl.alerter.window import Count
from tests.unit.alerter.builders import CLIENT, errors, event, rate, share


def test_the_rate_belongs_to_the_client_and_every_request_counts() -> None:
    rule = rate(100)
    assert rule.key(event(0)) == CLIENT
    assert rule.is_hit(event(0, status=500))
    assert not rule.holds(Count(99, 99))
    assert rule.holds(Count(100, 100))


@pytest.mark.parametrize(("status", "hit"), [(399, False), (400, True), (499, True), (500, False)])
def test_4xx_are_400_to_499(status: int, hit: bool) -> None:
    assert errors().is_hit(event(0, status=status)) is hit
    assert errors().key(event(0, status=status)) == (FLEET if hit else None)


@pytest.mark.parametrize(
    ("total", "hits", "holds"),
    [(99, 99, False), (100, 4, False), (100, 5, True), (1000, 49, False), (1000, 50, True), (100, 0, False)],
)
def test_a_share_needs_its_sample(total: int, hits: int, holds: bool) -> None:
    assert share(0.05, 100).holds(Count(total, hits)) is holds


@pytest.mark.parametrize("part", [0.01, 0.05, 0.07, 0.1, 0.29, 0.57])
def test_a_share_reached_exactly_counts_in_spite_of_binary_fractions(part: float) -> None:
    assert share(part, 1).holds(Count(100, round(100 * part)))


def test_a_window_may_hold_where_the_whole_does_not() -> None:
    assert share(0.5, 10).possible(Count(1000, 10))
    assert not share(0.5, 10).possible(Count(9, 9))
    assert not share(0.5, 10).possible(Count(1000, 0))


def test_ignored_clients_have_no_key() -> None:
    rule = replace(rate(100), ignore_clients=("203.0.113.0/24",))
    assert rule.key(event(0)) is None
    assert rule.key(event(0, client="198.51.100.1")) == "198.51.100.1"
    assert rule.key(event(0, client="unix:")) == "unix:"
