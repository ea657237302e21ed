"""``obsctl health`` and ``obsctl status``: every layer at once."""

from __future__ import annotations

import typer

from obsctl.cli.commands import CheckCommand, alone, examples
from obsctl.core.errors import ExitCode

health = alone()
status = alone()


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
    from obsctl.checks.health.check import health_check
    from obsctl.cli.checking import run_check

    return run_check(ctx, health_check("health"))


@status.command("status", cls=CheckCommand, epilog=examples("obsctl status", "obsctl status --watch 2"))
def show_status(ctx: typer.Context) -> ExitCode:
    """Show all layers on one screen; the same checks as `obsctl health`."""
    from obsctl.checks.health.check import health_check
    from obsctl.cli.checking import run_check

    return run_check(ctx, health_check("status"))
