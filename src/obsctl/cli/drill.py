"""``obsctl drill``: break a part of the fleet on purpose, measure the outage, and put everything back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from obsctl.cli.commands import Command, examples, group
from obsctl.cli.settings import note, now_and_then, require_terminal
from obsctl.core.errors import ConfigError, ExitCode, ObsctlError, RefusedError, UsageError
from obsctl.core.nearest import did_you_mean
from obsctl.drill.faults import How, Target

if TYPE_CHECKING:
    from obsctl.checks.health.snapshot import HealthSnapshot
    from obsctl.core.report import Fault, Finding
    from obsctl.drill.faults import Aim
    from obsctl.drill.record import Drill
    from obsctl.fleet.model import Fleet

#: Default length of a fault: longer than every session timeout and check interval, and over before people notice.
_LASTS_S = 15
_MOST_LASTS_S = 600

drill = group(
    "drill",
    help="Break a part of the fleet on purpose, measure the outage, and put everything back.",
    epilog=examples(
        "obsctl drill failover --target vip", "obsctl drill all --report drills.html", "obsctl drill history"
    ),
)

_Lasts = Annotated[
    int,
    typer.Option(
        "--for", min=3, max=_MOST_LASTS_S, metavar="SECONDS",
        help=f"How long the fault lasts, 3 to {_MOST_LASTS_S} seconds (default: {_LASTS_S}).", show_default=False,
    ),
]  # fmt: skip
_Report = Annotated[
    Path | None, typer.Option("--report", metavar="FILE", help="Also write an HTML page with the timeline.")
]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would be broken, and where.")]
_Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]


@drill.command(
    "failover",
    cls=Command,
    epilog=examples(
        "obsctl drill failover --target vip --how cut --dry-run",
        "obsctl drill failover --target broker --how kill",
        "obsctl drill failover --target database --yes --report drill.html",
    ),
)
def failover(
    ctx: typer.Context,
    *,
    target: Annotated[Target, typer.Option(metavar="TARGET", help=f"What is broken: {', '.join(Target)}.")],
    how: Annotated[
        How, typer.Option(metavar="HOW", help=f"How: {', '.join(How)} (default: kill).", show_default=False)
    ] = How.KILL,
    host: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="On this host (default: the one that holds the VIP, leads the most partitions, or runs the "
            "active alerter).",
        ),
    ] = None,
    lasts: _Lasts = _LASTS_S,
    report: _Report = None,
    dry_run: _DryRun = False,
    yes: _Yes = False,
) -> ExitCode:
    """Break one part, restore it, and measure how long requests failed and whether any line was lost.

    Refuses unless the fleet is healthy (77). During the drill, 20 requests a second go through the VIP, each on
    a new connection; afterwards their rows are counted. The part is also restored after Ctrl-C, and by a timer on its
    host if this machine dies.
    """
    return _drills(ctx, [(target, how)], host, lasts, report, dry_run=dry_run, yes=yes)


@drill.command(
    "all",
    cls=Command,
    epilog=examples(
        "obsctl drill all --dry-run", "obsctl drill all --how stop --how freeze --yes --report drills.html"
    ),
)
def all_drills(
    ctx: typer.Context,
    *,
    how: Annotated[
        list[How] | None,
        typer.Option(metavar="HOW", help=f"How: {', '.join(How)}; repeatable (default: kill)."),
    ] = None,
    lasts: _Lasts = _LASTS_S,
    report: _Report = None,
    dry_run: _DryRun = False,
    yes: _Yes = False,
) -> ExitCode:
    """Run one drill for each target in turn, and write one report.

    Each one starts when the fleet is healthy again; if it does not recover, the remaining drills are skipped.
    """
    chosen = [(target, one) for target in Target for one in how or [How.KILL]]
    return _drills(ctx, chosen, None, lasts, report, dry_run=dry_run, yes=yes)


@drill.command("history", cls=Command, epilog=examples("obsctl drill history", "obsctl drill history -o json"))
def history(ctx: typer.Context) -> ExitCode:
    """List the drills that were run from this machine."""
    from obsctl.cli.output import publish
    from obsctl.cli.reporting import Start
    from obsctl.drill.history import kept
    from obsctl.drill.judge import DRILL_LAYOUTS, describe_drills

    start = Start()
    publish(ctx, start.report("drill history", describe_drills(kept(), events=False)), DRILL_LAYOUTS)
    return ExitCode.OK


@drill.command(
    "show",
    cls=Command,
    epilog=examples("obsctl drill show 0123456789ab", "obsctl drill show 0123456789ab --report d.html"),
)
def show(
    ctx: typer.Context,
    drill_id: Annotated[str, typer.Argument(metavar="ID", help="The drill's id, from obsctl drill history -o wide.")],
    report: _Report = None,
) -> ExitCode:
    """Show one drill of the history again, with what happened when."""
    from obsctl.cli.output import publish
    from obsctl.cli.reporting import Start
    from obsctl.drill import page
    from obsctl.drill.history import kept
    from obsctl.drill.judge import DRILL_LAYOUTS, describe_drills

    past = kept()
    found = [one for one in past if one.id == drill_id]
    if not found:
        hint = did_you_mean(drill_id, [one.id for one in past], "obsctl drill history -o wide lists them")
        raise UsageError(f"no drill has the id {drill_id}", hint=hint)
    if report is not None:
        page.write(report, found, ())
    start = Start()
    publish(ctx, start.report("drill show", describe_drills(found)), DRILL_LAYOUTS)
    return ExitCode.OK


def _drills(
    ctx: typer.Context,
    chosen: Sequence[tuple[Target, How]],
    host: str | None,
    lasts: int,
    report: Path | None,
    *,
    dry_run: bool,
    yes: bool,
) -> ExitCode:
    from obsctl.cli.checking import load_fleet
    from obsctl.cli.destination import refuse_unwritable
    from obsctl.cli.output import publish
    from obsctl.cli.reporting import Start
    from obsctl.drill import page
    from obsctl.drill.judge import DRILL_LAYOUTS, describe_drills
    from obsctl.drill.run import require_healthy

    if report is not None:
        refuse_unwritable(report, "the report")
    fleet = load_fleet(ctx)
    if fleet.vip is None:
        raise ConfigError("the inventory names no VIP, so no requests can be sent", hint="set fleet_vip")
    if not dry_run and not yes:
        require_terminal("drill")
    start = Start()
    note(ctx, "checking whether the fleet is healthy")
    snapshot = require_healthy(fleet)
    aims = [_aim(fleet, target, how, host, snapshot) for target, how in chosen]
    if dry_run:
        note(ctx, "dry run: nothing was broken")
        publish(ctx, start.report("drill", {"dry_run": True, "plans": _plans(fleet, aims, lasts)}), DRILL_LAYOUTS)
        return ExitCode.OK
    what = "; ".join(f"{one.words} for {lasts} s" for one in aims)
    if not yes and not typer.confirm(f"{what}. Go on?", err=True):
        raise RefusedError("nothing was broken")
    drills, findings, left_out = _made(ctx, fleet, aims, host, lasts)
    if report is not None:
        page.write(report, drills, findings)
        note(ctx, f"written: {report}")
    ended = start.report("drill", describe_drills(drills), findings, left_out)
    publish(ctx, ended, DRILL_LAYOUTS)
    return ended.status.exit_code


def _made(
    ctx: typer.Context, fleet: Fleet, aims: Sequence[Aim], host: str | None, lasts: int
) -> tuple[list[Drill], list[Finding], list[Fault]]:
    """Run the drills; return them, the findings, and what was left out."""
    from obsctl.core.report import Fault
    from obsctl.drill import history as kept
    from obsctl.drill.judge import judge_drill
    from obsctl.drill.run import require_healthy, run_drill

    drills: list[Drill] = []
    findings: list[Finding] = []
    for at in aims:
        try:
            # The VIP, the leaders and the active alerter may have moved since the first drill.
            now = _aim(fleet, at.target, at.how, host, require_healthy(fleet)) if drills else at
            made = run_drill(
                fleet, now, lasts_s=float(lasts), say=lambda text: note(ctx, text), progress=now_and_then(ctx)
            )
        except ObsctlError as error:
            if not drills:
                raise
            # The results of the earlier drills are kept.
            why = f"this drill and the following ones were not run: {error}"
            return drills, findings, [Fault(code="DRILL_LEFT_OUT", object=f"{at.target}/{at.host.name}", summary=why)]
        try:
            kept.keep(made)
        except ConfigError as error:
            note(ctx, str(error))
        drills.append(made)
        findings += judge_drill(fleet, made, now)
        if not made.healthy:
            break
    return drills, findings, []


def _aim(fleet: Fleet, target: Target, how: How, host: str | None, snapshot: HealthSnapshot) -> Aim:
    from obsctl.drill.faults import aim, refuse_alone
    from obsctl.drill.run import host_of

    at = aim(fleet, target, how, host or host_of(snapshot, fleet, target))
    refuse_alone(fleet, at)
    return at


def _plans(fleet: Fleet, aims: Sequence[Aim], lasts: int) -> list[dict[str, object]]:
    from obsctl.drill.faults import bound, break_command, restore_command

    plans = []
    for at in aims:
        allowed = bound(fleet, at, float(lasts))
        plans.append(
            {
                "drill": f"{at.target} {at.how}",
                "what": at.words,
                "host": at.host.name,
                "lasts_s": lasts,
                "bound_s": allowed.outage_s,
                "stall_bound_s": allowed.stall_s,
                "breaks": break_command(at),
                "restores": restore_command(at),
            }
        )
    return plans
