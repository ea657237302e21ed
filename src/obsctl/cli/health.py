"""``obsctl health`` and ``obsctl status``: every layer at once."""

from __future__ import annotations

from typing import Annotated

import typer

from obsctl.cli.commands import AnyCheck, alone, check

health = alone()
status = alone()


@check(
    health,
    "health",
    "obsctl health",
    "obsctl health -o nagios",
    "obsctl health --watch 5 --until ok",
    "obsctl health --pre -i inventories/prod",
)
def check_health(
    ctx: typer.Context,
    pre: Annotated[
        bool,
        typer.Option(
            "--pre",
            help="Before an installation: ssh, sudo, clocks, ports, addresses, connections between the hosts, and "
            "the preflight.",
        ),
    ] = False,
) -> AnyCheck:
    """Check every layer by querying it directly, and name what is wrong.

    Queries the VIP, each host's clock and units (over ssh), the back ends, the cluster, the consumer's and
    the alerter's health pages and the database in parallel; a dead host affects only its own row.
    """
    if pre:
        return _before(ctx)
    from obsctl.checks.health.check import health_check

    return health_check("health")


def _before(ctx: typer.Context) -> AnyCheck:
    from obsctl.checks.ready.check import ready_check
    from obsctl.cli.checking import load_fleet
    from obsctl.cli.settings import note, settings
    from obsctl.core.errors import ConfigError
    from obsctl.fleet.load import find
    from obsctl.fleet.model import Fleet

    if settings(ctx).from_file is not None:
        return ready_check()
    source = find(settings(ctx).inventory)
    try:
        ready = ready_check(load_fleet(ctx))
    except ConfigError as error:
        # The preflight can also judge an inventory from which no fleet can be made, and lists all its problems.
        ready = ready_check(Fleet(inventory=str(source.path)), error)
    note(ctx, "asking the hosts and running the preflight; a host that does not answer delays this")
    return ready


@check(status, "status", "obsctl status", "obsctl status --watch 2")
def show_status() -> AnyCheck:
    """Show all layers on one screen; the same checks as `obsctl health`."""
    from obsctl.checks.health.check import health_check

    return health_check("status")
