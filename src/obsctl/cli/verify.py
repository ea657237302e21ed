"""``obsctl verify``: check the load balancing, the virtual address and the path of the logs."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from obsctl.cli.commands import AnyCheck, CheckCommand, alone, check, examples, group
from obsctl.cli.moments import duration
from obsctl.cli.settings import note, now_and_then
from obsctl.core.errors import ExitCode, UsageError

_Scheme = Annotated[
    Literal["http", "https"] | None,
    typer.Option(
        "--scheme",
        show_default=False,
        help="How nginx is asked (default: https where the fleet has TLS; its certificate is checked).",
    ),
]

verify = group(
    "verify",
    help="Check the load balancing, the virtual address (VIP) and the path of the logs.",
    epilog=examples("obsctl verify lb", "obsctl verify vip", "obsctl verify logs"),
)


@verify.command(
    "lb",
    cls=CheckCommand,
    epilog=examples("obsctl verify lb", "obsctl verify lb -n 3000 -c 8 -o json", "obsctl verify lb --report lb.html"),
)
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
            help="How many at a time, 1 to 64 (default: 1); with more than one, least_conn prefers the faster back "
            "end.",
        ),
    ] = 1,
    *,
    keepalive: Annotated[
        bool, typer.Option("--keepalive", help="Reuse one connection for each of the -c lanes, as browsers do.")
    ] = False,
    scheme: _Scheme = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE", help="Also write the report to FILE, as a self-contained HTML page."),
    ] = None,
) -> ExitCode:  # fmt: skip
    """Send requests through the VIP, each on a new connection, and compare each back end's answers with its expected
    share.

    The expected shares follow from the balancers' own configuration. A warning needs both a chi-square p below .002
    at one of five checkpoints and a deviation above 15 %, so neither noise nor a large sample causes false alarms.
    The run ends as soon as the result is clear. A back end that gets no requests, and one that is not in the
    inventory, are critical.
    """
    from obsctl.checks.balance.check import balancer_check
    from obsctl.cli.checking import run_check
    from obsctl.cli.destination import refuse_unwritable
    from obsctl.cli.progress import live_line
    from obsctl.cli.report_page import write_page

    if report is not None:
        refuse_unwritable(report, "the report")
    with live_line(ctx) as say:
        check = balancer_check(requests, lanes, keepalive=keepalive, scheme=scheme or "", say=say)
        return run_check(ctx, check, also=partial(write_page, report, "verify-lb") if report is not None else None)


@check(verify, "vip", "obsctl verify vip", "obsctl verify vip --watch 1 --until ok")
def vip(scheme: _Scheme = None) -> AnyCheck:
    """Check that exactly one node holds the VIP, that it is the one that answers, and that another can take over.

    Queries every lb node over ssh, and the address itself from here: the answer's X-Balancer header, or on the same
    network segment the neighbour table, shows which node really gets the packets.
    """
    from obsctl.checks.vip.check import vip_check

    return vip_check(scheme or "")


@verify.command(
    "logs",
    cls=CheckCommand,
    epilog=examples(
        "obsctl verify logs", "obsctl verify logs --passive", "obsctl verify logs --passive --watch 2 --until ok"
    ),
)
def logs(
    ctx: typer.Context,
    *,
    passive: Annotated[
        bool, typer.Option("--passive", help="Send nothing: compare what nginx has written with what was delivered.")
    ] = False,
    deadline: Annotated[
        timedelta | None,
        typer.Option(
            parser=duration,
            metavar="SPAN",
            show_default=False,
            help="Time limit for the whole path, such as 10s, 2m (default: 30s).",
        ),
    ] = None,
    host: Annotated[str | None, typer.Option("--host", metavar="NAME", help="Only this balancer.")] = None,
    scheme: _Scheme = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show which requests would be sent, and send none.")
    ] = False,
) -> ExitCode:
    """Follow one marked request for each balancer and each back end to its row, and name the hop where one gets stuck.

    The hops are nginx's log, Filebeat, Kafka, the row and the alerter; each hop's time is printed, by this machine's
    clock.

    With --passive nothing is sent. On each host, it compares what nginx has written with what Filebeat has read and
    Kafka has acknowledged, and finds a Filebeat that is frozen, lacks permission or has other paths configured, ignored
    symbolic links, and rotated files that were never read.
    """
    from obsctl.checks.logs.check import followed_check, passive_check
    from obsctl.cli.checking import run_check

    if passive:
        if host or dry_run or deadline or scheme:
            raise UsageError(
                "--passive sends no requests, so it cannot be combined with --host, --deadline, --scheme or --dry-run"
            )
        return run_check(ctx, passive_check())
    if dry_run:
        return _planned(ctx, host or "", scheme or "")
    deadline_s = (deadline or timedelta(seconds=30)).total_seconds()
    return run_check(ctx, followed_check(deadline_s, host or "", now_and_then(ctx), scheme=scheme or ""))


def _planned(ctx: typer.Context, host: str, scheme: Literal["", "http", "https"]) -> ExitCode:
    """Print the requests of ``verify logs``."""
    from obsctl.checks.logs.follow import PATH, TRIES_PER_BACKEND, targets
    from obsctl.checks.logs.tables import LOGS_LAYOUTS
    from obsctl.cli.checking import load_fleet
    from obsctl.cli.output import publish
    from obsctl.cli.reporting import Start

    fleet = load_fleet(ctx)
    start = Start()
    plan = [
        {"host": one.host or None, "target": one.socket, "uri": f"{PATH}ID"} for one in targets(fleet, host, scheme)
    ]
    most = TRIES_PER_BACKEND * len(fleet.group("backend"))
    note(ctx, f"dry run: nothing was sent; at most {most} more follow, until each back end has answered")
    publish(ctx, start.report("verify logs", {"dry_run": True, "plan": plan}), LOGS_LAYOUTS)
    return ExitCode.OK


trace = alone()


@check(trace, "trace", "obsctl trace", "obsctl trace -n 100 -o json")
def follow_lines(
    ctx: typer.Context,
    number: Annotated[
        int,
        typer.Option(
            "-n", "--number", min=1, max=1000, metavar="N", show_default=False,
            help="How many lines, 1 to 1000 (default: 10).",
        ),
    ] = 10,
    deadline: Annotated[
        timedelta | None,
        typer.Option(
            parser=duration, metavar="SPAN", show_default=False,
            help="Time limit for each line to reach its row, such as 10s, 2m (default: 30s).",
        ),
    ] = None,
) -> AnyCheck:  # fmt: skip
    """Follow lines one by one to their rows, and show how long each hop takes.

    The requests go through the balancers in turn, and are stored like any other.
    """
    from obsctl.checks.logs.check import trace_check

    deadline_s = (deadline or timedelta(seconds=30)).total_seconds()
    return trace_check(number, deadline_s, now_and_then(ctx))
