"""Names of the fleet for the shell's completion, only from the cached inventory.

A TAB must not wait for Ansible or a host, and must not print an error into a half-written command line. If there is no
cache, or the inventory has changed since, there are no names.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from obsctl.fleet.model import Fleet


def consumer_hosts(ctx: typer.Context) -> list[str]:
    """Return the names of the hosts that run the consumer."""
    fleet = _fleet(ctx)
    return [host.name for host in fleet.group("consumer")] if fleet else []


def topics(ctx: typer.Context) -> list[str]:
    """Return the inventory's topics."""
    fleet = _fleet(ctx)
    return [topic.name for topic in fleet.kafka.topics] if fleet else []


def rules(ctx: typer.Context) -> list[str]:
    """Return the names of the alert rules."""
    fleet = _fleet(ctx)
    return list(fleet.rule_names) if fleet else []


def channels(ctx: typer.Context) -> list[str]:
    """Return the names of the alert channels."""
    fleet = _fleet(ctx)
    return [str(channel["name"]) for channel in fleet.alert_channels if "name" in channel] if fleet else []


def codes(_ctx: typer.Context) -> list[str]:
    """Return the codes of findings."""
    from obsctl.core import runbooks

    return [*runbooks.pages()]


def _fleet(ctx: typer.Context) -> Fleet | None:
    with contextlib.suppress(Exception):
        from obsctl.fleet import load as loading

        return loading.remembered(loading.find(_inventory(ctx)))
    return None


def _inventory(ctx: typer.Context) -> str | None:
    """Return the values of the inventory option in the words typed so far, the last ones first."""
    at: Any = ctx
    while at is not None:
        if named := at.params.get("inventory"):
            return str(named)
        at = at.parent
    return None
