"""Layers about which nothing is known: missing data is never OK."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from obsctl.checks.health.layers import LAYERS, Layer, about, expected, seen
from obsctl.checks.health.snapshot import HealthSnapshot
from obsctl.core.nearest import nearest
from obsctl.core.report import Fault, Finding, Severity
from obsctl.fleet.model import Fleet


def layers_not_asked(fleet: Fleet, snapshot: HealthSnapshot, findings: Iterable[Finding]) -> Iterator[Finding]:
    """Layers that the fleet should have and that no answer, finding or error is about.

    Args:
        findings: what all other rules found.
    """
    groups = {group: None for layer in LAYERS for group in layer.groups}
    if not any(map(fleet.group, groups)):
        yield Finding(
            code="HEALTH_LAYER_NOT_ASKED",
            severity=Severity.UNKNOWN,
            object="fleet",
            summary="the inventory names no host, so nothing was checked"
            if not fleet.hosts
            else f"no host is in any of the groups {', '.join(groups)}, so no layer was checked",
            hint="choose another inventory with --inventory, or put the hosts into their groups",
        )
    yield from _mistyped_groups(fleet)
    entries: tuple[Finding | Fault, ...] = (*findings, *snapshot.errors)
    explained = {name for entry in entries for name in about(fleet, entry)}
    for layer in LAYERS:
        if expected(fleet, layer) and not seen(snapshot, layer.name) and layer.name not in explained:
            yield Finding(
                code="HEALTH_LAYER_NOT_ASKED",
                severity=Severity.UNKNOWN,
                object=f"layer/{layer.name}",
                summary=f"not checked: {_lacking(layer)}",
                hint=f"{fleet.playbook('preflight')} names what is missing; "
                f"docs/reference/fleet.md lists the settings, and its hosts belong to the group {layer.groups[0]}",
            )


def _lacking(layer: Layer) -> str:
    """Return what is missing in the inventory, so that the layer could not be queried."""
    if layer.name == "vip":
        return "the inventory sets no fleet_vip for the group lb"
    return f"the inventory has no host in the group {layer.groups[0]} that could be queried for {layer.name}"


def _mistyped_groups(fleet: Fleet) -> Iterator[Finding]:
    """Yield groups without hosts, if the inventory has another group with a similar name."""
    for group in dict.fromkeys(group for layer in LAYERS for group in layer.groups):
        near = [] if fleet.group(group) else nearest(group, fleet.foreign_groups)
        if near:
            yield Finding(
                code="HEALTH_LAYER_NOT_ASKED",
                severity=Severity.UNKNOWN,
                object=f"group/{group}",
                summary=f"the inventory has no host in the group {group}, but it has the group {near[0]}",
                hint=f"did you mean {group}? Rename the group in the inventory, then: obsctl health",
            )
