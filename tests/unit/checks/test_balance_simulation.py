"""How often verify lb errs: its whole run against nginx's own way of choosing a back end, simulated.

Nginx's smooth weighted round robin, as each of its workers does it: every member's current weight grows by its weight,
the largest one is taken, the first of equal ones, and loses the sum of all weights. ``least_conn`` does the same among
members with equally many connections, which is all of them while requests come one at a time. With a shared zone there
is one such state, without one each worker has its own. Requests of others move the state between two of ours.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

import pytest

from obsctl.checks.balance import model, stopping
from obsctl.checks.balance.collect import default_requests
from obsctl.checks.balance.model import Expectation
from obsctl.checks.balance.snapshot import BackendTally, BalancerConfig, Member, Upstream
from obsctl.fleet.model import Fleet, Host

N = default_requests(Fleet(hosts=tuple(Host(name=f"node{i}", address=f"198.18.0.1{i}") for i in (1, 2, 3))))


class Peers:
    """One state of the smooth weighted round robin."""

    def __init__(self, weights: Sequence[int]) -> None:
        self._weights = weights
        self._current = [0] * len(weights)

    def next(self) -> int:
        """Return the number of the member that gets the next request."""
        for number, weight in enumerate(self._weights):
            self._current[number] += weight
        best = self._current.index(max(self._current))
        self._current[best] -= sum(self._weights)
        return best


class World(NamedTuple):
    """A balancer and its traffic.

    Attributes:
        configured: the members' weights as the configuration has them.
        real: as they come out; the same where the balancer is sound.
        workers: of nginx.
        zone: the workers share their state.
        others: requests of other people between two of ours, on the average.
    """

    configured: tuple[int, ...] = (1, 1, 1)
    real: tuple[int, ...] = ()
    workers: int = 2
    zone: bool = True
    others: float = 0.0


def found(world: World, seed: int, wanted: int = N) -> bool:
    """Return whether a run of verify lb has a finding about the shares."""
    dice = random.Random(seed)  # noqa: S311 - dice, not keys
    names = [f"node{number}" for number in range(1, len(world.configured) + 1)]
    states = [Peers(world.real or world.configured) for _ in range(1 if world.zone else world.workers)]
    members = tuple(Member(address=name, weight=w) for name, w in zip(names, world.configured, strict=True))
    config = BalancerConfig(
        node="node1", workers=world.workers, upstream=Upstream(name="backends", zone=world.zone, members=members)
    )
    slack = 0 if world.zone else world.workers
    weights = dict(zip(names, world.configured, strict=True))
    expected = Expectation(config, weights, slack, of_one_client=False)
    counts = dict.fromkeys(names, 0)
    for state in states:
        for _ in range(dice.randrange(60) if world.others else 0):
            state.next()
    for sent in range(1, wanted + 1):
        others = 0
        while world.others and dice.random() < world.others / (1 + world.others):
            others += 1
        for _ in range(others):
            dice.choice(states).next()
        counts[names[dice.choice(states).next()]] += 1
        if sent in (*range(1, 61), *model.LOOK_AFTER) and stopping.reason(_progress(sent, counts, expected)):
            return True
    return model.skew(counts, expected) is not None or bool(model.silent(counts, expected))


def _progress(sent: int, counts: dict[str, int], expected: Expectation) -> stopping.Progress:
    tallies = tuple(
        BackendTally(name=name, answers=count, errors=0, p50_ms=1, p99_ms=2) for name, count in counts.items()
    )
    return stopping.Progress(sent=sent, failed=0, tallies=tallies, direct={}, expected=expected, took_s=0.0)


SOUND = {
    "alone": World(),
    "alone, four workers": World(workers=4),
    "alone, no zone, 2 workers": World(zone=False),
    "alone, no zone, 16 workers": World(zone=False, workers=16),
    "among others": World(others=0.5),
    "among many others": World(others=4.0),
    "among many others, no zone": World(zone=False, workers=4, others=4.0),
    "weights 5:1:1": World(configured=(5, 1, 1)),
    "weights 3:2:1 among others": World(configured=(3, 2, 1), others=2.0),
    "ten back ends among others": World(configured=(1,) * 10, others=2.0),
    "two back ends among others": World(configured=(1, 1), others=2.0),
}


@pytest.mark.parametrize("world", SOUND.values(), ids=SOUND)
def test_a_sound_balancer_is_found_uneven_at_most_once_in_a_hundred_runs(world: World) -> None:
    runs = 200
    assert sum(found(world, seed) for seed in range(runs)) <= runs // 100


#: What is left of a third when it is 30 % less: 14 of 60.
LESS = (14, 23, 23)


@pytest.mark.parametrize(
    "world",
    [
        World(real=LESS),
        World(real=LESS, others=0.5),
        World(real=LESS, others=4.0),
        World(real=LESS, zone=False),
        World(real=(23, 14, 23), zone=False, workers=4, others=2.0),
    ],
    ids=["alone", "among others", "among many others", "no zone", "no zone, 4 workers, among others"],
)
def test_a_third_less_thirty_percent_is_found_in_nine_of_ten_runs(world: World) -> None:
    runs = 100
    assert sum(found(world, seed) for seed in range(runs)) >= 0.9 * runs


def test_dice_instead_of_turns_stay_within_the_bound() -> None:
    """The widest null model: each request goes anywhere. The bound is made for it."""
    dice = random.Random(11)  # noqa: S311 - dice, not keys
    expected = Expectation(None, {"a": 1, "b": 1, "c": 1}, 0, of_one_client=False)
    runs = alarms = 0
    for _ in range(400):
        runs += 1
        counts = dict.fromkeys("abc", 0)
        for sent in range(1, N + 1):
            counts["abc"[dice.randrange(3)]] += 1
            if sent in (*model.LOOK_AFTER, N) and model.skew(counts, expected):
                alarms += 1
                break
    assert alarms <= runs // 100


def test_what_a_run_can_find_is_stated_and_true() -> None:
    """The number that the report gives as the least deviation that it finds in nine of ten runs."""
    detects = model.detectable(N, 1 / 3)
    assert detects is not None
    assert 0.2 < detects < 0.3
    real = (round(1000 * (1 - detects)), 1000 + round(500 * detects), 1000 + round(500 * detects))
    runs = 100
    hits = sum(found(World(real=real, others=4.0), seed) for seed in range(runs))
    assert hits >= 0.8 * runs
