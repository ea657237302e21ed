"""``obsctl verify``: measure the balancer and the virtual address instead of believing their configuration."""

from __future__ import annotations

from typing import Annotated

import typer

from obsctl.cli.commands import CheckCommand, examples, group
from obsctl.core.errors import ExitCode

verify = group(
    "verify",
    help="Measure the balancer and the virtual address (VIP).",
    epilog=examples("obsctl verify lb", "obsctl verify vip"),
)


@verify.command("lb", cls=CheckCommand, epilog=examples("obsctl verify lb", "obsctl verify lb -n 3000 -c 8 -o json"))
def lb(
    ctx: typer.Context,
    requests: Annotated[
        int | None,
        typer.Option(
            "-n", "--requests", min=60, metavar="N",
            help="How many requests, at least 60 (default: 20 for each worker and back end, and 600 at least).",
        ),
    ] = None,
    lanes: Annotated[
        int,
        typer.Option(
            "-c", "--concurrency", min=1, max=64, metavar="N",
            show_default=False,
            help="How many at a time, 1 to 64 (default: 1); with more than one, least_conn prefers the quicker back "
            "end.",
        ),
    ] = 1,
) -> ExitCode:  # fmt: skip
    """Send requests through the VIP, each on a new connection, and compare who answered with who should have.

    A warning needs both a chi-square p below .01 and a deviation above 15 %: neither noise nor a large number of
    requests alarms. A back end that gets nothing, and one that is not configured, are critical.
    """
    from obsctl.checks.balance.check import balancer_check
    from obsctl.cli.checking import run_check

    return run_check(ctx, balancer_check(requests, lanes))


@verify.command("vip", cls=CheckCommand, epilog=examples("obsctl verify vip", "obsctl verify vip --watch 1 --until ok"))
def vip(ctx: typer.Context) -> ExitCode:
    """Check that exactly one node holds the VIP, that it is the one that answers, and that another can take over.

    Every lb node is asked over ssh, and the address itself from here: the answer's X-Balancer header, or on the same
    segment the neighbour table, shows which node really gets the packets.
    """
    from obsctl.checks.vip.check import vip_check
    from obsctl.cli.checking import run_check

    return run_check(ctx, vip_check())
