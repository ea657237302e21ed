"""The check ``verify lb``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from obsctl.checks.ask.web import Scheme
from obsctl.checks.balance.collect import collect_balancer
from obsctl.checks.balance.judge import describe_balancer, judge_balancer
from obsctl.checks.balance.snapshot import BalancerSnapshot
from obsctl.checks.balance.tables import BALANCER_LAYOUTS
from obsctl.checks.check import Check


def balancer_check(
    requests: int | None = None,
    lanes: int = 1,
    *,
    keepalive: bool = False,
    scheme: Scheme = "",
    say: Callable[[str], None] = lambda _: None,
) -> Check[BalancerSnapshot]:
    """Return the check of the balancer.

    Args:
        requests: how many; None for a number that depends on the fleet's size.
        lanes: how many at the same time.
        keepalive: whether each lane keeps its connection.
        scheme: ``http`` or ``https``; empty for the inventory's choice.
        say: shows progress to a person.
    """
    collect = partial(collect_balancer, requests=requests, lanes=lanes, keepalive=keepalive, scheme=scheme, say=say)
    return Check("verify lb", BalancerSnapshot, collect, judge_balancer, describe_balancer, BALANCER_LAYOUTS)
