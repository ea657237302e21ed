"""``obsctl health`` and ``obsctl status``: every layer at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from obsctl.cli.commands import CheckCommand, alone, examples
from obsctl.core.errors import ExitCode

if TYPE_CHECKING:
    from obsctl.checks.health.snapshot import HealthSnapshot
    from obsctl.cli.checking import Check

health = alone()
status = alone()


def health_check(command: str) -> Check[HealthSnapshot]:
    """Return the check of all layers under the name of a command."""
    from obsctl.checks.health.collect import collect_health
    from obsctl.checks.health.judge import HEALTH_LAYOUTS, describe_health, judge_health
    from obsctl.checks.health.snapshot import HealthSnapshot
    from obsctl.cli.checking import Check

    return Check(command, HealthSnapshot, collect_health, judge_health, describe_health, HEALTH_LAYOUTS)


@health.command(
    "health",
    cls=CheckCommand,
    epilog=examples("obsctl health", "obsctl health -o nagios", "obsctl health --watch 5 --until ok"),
)
def check_health(ctx: typer.Context) -> ExitCode:
    """Check every layer by asking it, and name what is wrong.

    Asks the VIP, each host's units (over ssh), the back ends, the cluster, the consumer's and the alerter's own health
    pages and the database, all at once; a dead host costs its own row, never the answer.
    """
    from obsctl.cli.checking import run_check

    return run_check(ctx, health_check("health"))


@status.command("status", cls=CheckCommand, epilog=examples("obsctl status", "obsctl status --watch 2"))
def show_status(ctx: typer.Context) -> ExitCode:
    """Show all layers on one screen; the same checks as `obsctl health`."""
    from obsctl.cli.checking import run_check

    return run_check(ctx, health_check("status"))
