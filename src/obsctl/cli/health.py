"""``obsctl health`` and ``obsctl status``: every layer at once."""

from __future__ import annotations

from typing import Any

import click

from obsctl.checks.health.collect import collect_health
from obsctl.checks.health.judge import describe_health, judge_health
from obsctl.checks.health.snapshot import HealthSnapshot
from obsctl.cli.checking import Check, check_options, run_check
from obsctl.cli.settings import Command
from obsctl.core.errors import ExitCode


def _check(command: str) -> Check[HealthSnapshot]:
    return Check(command, HealthSnapshot, collect_health, judge_health, describe_health)


@click.command(cls=Command)
@check_options
@click.pass_context
def health(ctx: click.Context, /, **options: Any) -> ExitCode:
    """Check every layer by asking it, and name what is wrong.

    Asks the VIP, each host's units (over ssh), the back ends, the cluster, the consumer's and the alerter's own health
    pages and the database, all at once; a dead host costs its own row, never the answer.

    \b
    Examples:
      obsctl health
      obsctl health -o nagios
      obsctl health --watch 5 --until ok
    """
    return run_check(ctx, _check("health"), **options)


@click.command(cls=Command)
@check_options
@click.pass_context
def status(ctx: click.Context, /, **options: Any) -> ExitCode:
    """Show all layers on one screen; the same checks as `obsctl health`.

    \b
    Examples:
      obsctl status
      obsctl status --watch 2
    """
    return run_check(ctx, _check("status"), **options)
