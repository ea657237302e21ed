"""The check ``verify lb``."""

from __future__ import annotations

from functools import partial

from obsctl.checks.balance.collect import collect_balancer
from obsctl.checks.balance.judge import describe_balancer, judge_balancer
from obsctl.checks.balance.snapshot import BalancerSnapshot
from obsctl.checks.balance.tables import BALANCER_LAYOUTS
from obsctl.checks.check import Check


def balancer_check(requests: int | None = None, lanes: int = 1) -> Check[BalancerSnapshot]:
    """Return the check of the balancer with so many requests (default by the fleet's size), so many at a time."""
    collect = partial(collect_balancer, requests=requests, lanes=lanes)
    return Check("verify lb", BalancerSnapshot, collect, judge_balancer, describe_balancer, BALANCER_LAYOUTS)
