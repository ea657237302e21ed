"""The check of all layers, as far as one host can query them without a login on others."""

from __future__ import annotations

import functools
from typing import Any

from obsctl.checks.check import Check
from obsctl.checks.health.check import health_check
from obsctl.checks.health.collect import collect_here
from obsctl.checks.health.judge import describe, judge_health
from obsctl.checks.health.layers import HOSTS, LAYERS, expected, seen
from obsctl.checks.health.snapshot import HealthSnapshot
from obsctl.core.report import Finding
from obsctl.fleet.model import Fleet

#: Layers that are queried over the network: no answer from them is a fault.
_OVER_NETWORK = frozenset(("kafka", "database"))


def here_check(host: str, deadline_s: float) -> Check[HealthSnapshot]:
    """Return the check.

    Args:
        host: the name of this host in the inventory; empty if it is not in it.
        deadline_s: time limit in seconds, as for :func:`~obsctl.checks.health.collect.collect_here`.
    """
    return Check(
        "status",
        HealthSnapshot,
        functools.partial(collect_here, name=host, deadline_s=deadline_s),
        judge_here,
        describe_here,
        meaning=health_check().meaning,
    )


def not_asked(fleet: Fleet, snapshot: HealthSnapshot) -> list[str]:
    """Return the layers that can only be checked with a login on their hosts."""
    return [
        layer.name
        for layer in LAYERS
        if expected(fleet, layer) and not seen(snapshot, layer.name) and layer.name not in _OVER_NETWORK
    ]


def judge_here(fleet: Fleet, snapshot: HealthSnapshot) -> list[Finding]:
    """Return the findings, without those that only say that other hosts were not asked."""
    missing = {f"layer/{name}" for name in not_asked(fleet, snapshot)}
    if len(fleet.group("consumer")) > 1:
        # Only the pages of all alerters together show whether none is active.
        missing.add("obsctl-alerter")
    return [finding for finding in judge_health(fleet, snapshot) if finding.object not in missing]


def describe_here(fleet: Fleet, snapshot: HealthSnapshot) -> dict[str, Any]:
    """Return one row for each layer that was queried, and the names of the others."""
    missing = not_asked(fleet, snapshot)
    described = describe(fleet, snapshot, judge_here(fleet, snapshot))
    layers = [
        {**row, "detail": _hosts_detail(fleet, described["hosts"])} if row["layer"] == HOSTS else row
        for row in described["layers"]
        if row["layer"] not in missing
    ]
    return {"layers": layers, "not_asked": missing}


def _hosts_detail(fleet: Fleet, rows: list[dict[str, Any]]) -> str:
    """Return this host's own state, and how many other hosts were not asked, because nothing is asked over ssh."""
    (own,) = rows
    units = f"units running: {own['running']}" if own["answers"] else own["running"]
    disk = f", least free disk {own['least_free_disk']}" if own["least_free_disk"] else ""
    others = sum(host.name != own["host"] for host in fleet.hosts)
    rest = f"; other hosts, which were not asked: {others}" if others else ""
    return f"{own['host']} asked itself, without ssh: {units}{disk}{rest}"
