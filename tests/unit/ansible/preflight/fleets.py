"""Small fleets for the rules."""

from __future__ import annotations

from typing import Any

from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.look import Look
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.model import Fleet


def fleet(
    hosts: dict[str, dict[str, Any]],
    groups: dict[str, list[str]] | None = None,
    looks: dict[str, Look] | None = None,
    specs: dict[str, dict[str, Any]] | None = None,
    login: dict[str, str] | None = None,
) -> Fleet:
    """Return a fleet whose hosts' variables all stand in the inventory."""
    return Fleet(
        hosts=hosts,
        groups=groups or {},
        inventory_names={host: set(variables) for host, variables in hosts.items()},
        broken={},
        specs=specs or {},
        looks=looks or {},
        core=(2, 19),
        missing_files={},
        unusable_secrets={},
        login=login or {},
    )
