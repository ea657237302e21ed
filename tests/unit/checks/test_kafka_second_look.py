"""Which partitions are looked at again, how often, and what is kept of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import pytest
from tests.unit.checks.test_kafka_views import HOSTS, answers, view

from obsctl.checks.kafka import second_look
from obsctl.checks.kafka.collect import BrokerAnswers, assemble

KEY = ("t", 0)


def cluster(leo: dict[int, int], hw: int) -> list[BrokerAnswers]:
    """Return what three brokers answered of a partition that broker 1 leads."""
    made = [
        answers(
            node, listed={}, views=[view(1, 5, (1, 2, 3))], leo={KEY: leo[node]} if node in leo else {}, sampled_at=10.0
        )
        for node in (1, 2, 3)
    ]
    made[0].hw = {KEY: hw}
    return made


@pytest.mark.parametrize(
    ("leo", "hw", "expected"),
    [
        ({1: 100, 2: 100, 3: 100}, 100, False),
        ({1: 100, 2: 90, 3: 100}, 100, True),
        ({1: 100, 2: 100, 3: 100}, 90, True),
        # A follower's answer is younger than the leader's: it may have more.
        ({1: 100, 2: 101, 3: 100}, 100, False),
        # Whose leader says nothing cannot be compared.
        ({2: 90, 3: 100}, 90, False),
        # A silent follower is no question of moving, but the high watermark that waits for it is.
        ({1: 100, 3: 100}, 100, False),
        ({1: 100, 3: 100}, 90, True),
    ],
)
def test_a_partition_whose_ends_differ_is_looked_at_again(leo: dict[int, int], hw: int, expected: bool) -> None:
    assert second_look.unsettled(cluster(leo, hw)) == ({KEY} if expected else set())


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[float]]:
    """Run the looks over a cluster of which each look gives the next ends; returns how long was slept before each."""

    def run(found: Sequence[BrokerAnswers], *ends: tuple[dict[int, int], int]) -> list[float]:
        slept: list[float] = []
        script = iter(ends)

        def look(_hosts: object, broker_answers: Sequence[BrokerAnswers], *_: object) -> None:
            leo, hw = next(script)
            for given in broker_answers:
                given.later_leo, given.later_at = {KEY: leo[given.node_id]}, 10.0 + sum(slept)
            broker_answers[0].later_hw = {KEY: hw}

        clock = [10.0]
        monkeypatch.setattr(second_look, "_look", look)
        monkeypatch.setattr(time, "monotonic", lambda: clock[0])

        def sleep(seconds: float) -> None:
            slept.append(round(seconds, 3))
            clock[0] += seconds

        monkeypatch.setattr(time, "sleep", sleep)
        second_look.look_again(HOSTS, found)
        return slept

    return run


def test_a_settled_cluster_is_not_looked_at_again(looks: Callable[..., list[float]]) -> None:
    assert looks(cluster({1: 100, 2: 100, 3: 100}, 100)) == []


def test_one_that_has_caught_up_soon_is_looked_at_once(looks: Callable[..., list[float]]) -> None:
    assert looks(cluster({1: 100, 2: 90, 3: 100}, 90), ({1: 130, 2: 100, 3: 120}, 100)) == [0.15]


def test_one_that_has_not_is_given_the_rest_of_a_second(looks: Callable[..., list[float]]) -> None:
    found = cluster({1: 100, 2: 90, 3: 100}, 90)
    assert looks(found, ({1: 101, 2: 90, 3: 101}, 90), ({1: 102, 2: 90, 3: 102}, 90)) == [0.15, 1.05]
    (partition,) = assemble(HOSTS, found).partitions
    assert partition.later is not None
    assert (partition.later.after_s, partition.later.hw, partition.later.leo) == (1.2, 90, {1: 102, 2: 90, 3: 102})
