"""``obsctl verify``: measure the balancer and the virtual address instead of believing their configuration."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from obsctl.checks.balance.collect import collect_balancer
from obsctl.checks.balance.judge import describe_balancer, judge_balancer
from obsctl.checks.balance.snapshot import BalancerSnapshot
from obsctl.checks.vip.collect import collect_vip
from obsctl.checks.vip.judge import describe_vip, judge_vip
from obsctl.checks.vip.snapshot import VipSnapshot
from obsctl.cli.checking import Check, check_options, run_check
from obsctl.cli.settings import Group
from obsctl.core.errors import ExitCode

VIP: Check[VipSnapshot] = Check("verify vip", VipSnapshot, collect_vip, judge_vip, describe_vip)


def balancer_check(requests: int | None = None, lanes: int = 1) -> Check[BalancerSnapshot]:
    """Return the check of the balancer with so many requests (default by the fleet's size), so many at a time."""
    collect = partial(collect_balancer, requests=requests, lanes=lanes)
    return Check("verify lb", BalancerSnapshot, collect, judge_balancer, describe_balancer)


@click.group(cls=Group)
def verify() -> None:
    """Measure the balancer and the virtual address."""


@verify.command("lb")
@click.option(
    "-n", "--requests", type=click.IntRange(min=60), metavar="N",
    help="How many requests (default: 20 for each worker and back end, at least 600).",
)  # fmt: skip
@click.option(
    "-c", "--concurrency", "lanes", type=click.IntRange(min=1, max=64), default=1, show_default=True, metavar="N",
    help="How many at a time; with more than one, least_conn prefers the quicker back end.",
)  # fmt: skip
@check_options
@click.pass_context
def lb(ctx: click.Context, /, requests: int | None, lanes: int, **options: Any) -> ExitCode:
    """Send requests through the VIP, each on a new connection, and compare who answered with who should have.

    A warning needs both a chi-square p below .01 and a deviation above 15 %: neither noise nor a large number of
    requests alarms. A back end that gets nothing, and one that nobody configured, are critical.

    \b
    Examples:
      obsctl verify lb
      obsctl verify lb -n 3000 -c 8 -o json
    """
    return run_check(ctx, balancer_check(requests, lanes), **options)


@verify.command("vip")
@check_options
@click.pass_context
def vip(ctx: click.Context, /, **options: Any) -> ExitCode:
    """Check that exactly one node holds the VIP, that it is the one that answers, and that another can take over.

    Every lb node is asked over ssh, and the address itself from here: the answer's X-Balancer header, or on the same
    segment the neighbour table, tells which node really gets the packets.

    \b
    Examples:
      obsctl verify vip
      obsctl verify vip --until ok       during a failover, until it is settled
    """
    return run_check(ctx, VIP, **options)
