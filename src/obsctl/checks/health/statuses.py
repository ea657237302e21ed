"""The status of each layer, from the findings of all layers. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set

from obsctl.checks.health.answers import answering
from obsctl.checks.health.layers import HOSTS, LAYERS, about, on_host, seen
from obsctl.checks.health.snapshot import HealthSnapshot
from obsctl.core.report import Finding, Status
from obsctl.fleet.model import Fleet


def statuses(fleet: Fleet, snapshot: HealthSnapshot, findings: Iterable[Finding]) -> dict[str, list[Status]]:
    """Return the statuses that decide each layer's own; a layer without data is unknown."""
    found = {layer.name: [Status.UNKNOWN] for layer in LAYERS if not seen(snapshot, layer.name)}
    down = {probe.name for probe in snapshot.hosts if not probe.answered}
    for finding in findings:
        for layer, status in _weighed(fleet, snapshot, finding, down):
            found.setdefault(layer, []).append(status)
    for fault in snapshot.errors:
        for layer in about(fleet, fault):
            found.setdefault(layer, []).append(Status.UNKNOWN)
    return found


def _weighed(fleet: Fleet, snapshot: HealthSnapshot, finding: Finding, down: Set[str]) -> Iterator[tuple[str, Status]]:
    """Yield the layers that a finding is about, each with the finding's weight there.

    Args:
        down: the hosts that cannot be asked.
    """
    name = finding.object.partition("/")[2]
    if finding.code in ("HEALTH_HOST_DOWN", "HEALTH_HOST_NOT_ASKED", "HEALTH_DISK_FULL"):
        yield HOSTS, finding.severity.status
    if finding.code == "HEALTH_HOST_DOWN":
        for layer in on_host(fleet, name):
            left = {host.name for host in layer.hosts(fleet)} - down
            yield layer.name, Status.WARNING if left else Status.CRITICAL
    elif finding.code == "HEALTH_HOST_NOT_ASKED":
        answered = answering(fleet, snapshot, name)
        # The VIP's own check reports what is unknown about the VIP.
        for layer in on_host(fleet, name):
            if layer.name not in answered and layer.name != "vip":
                yield layer.name, Status.UNKNOWN
    elif finding.code != "HEALTH_DISK_FULL":
        for layer_name in about(fleet, finding):
            yield layer_name, finding.severity.status
    if finding.code == "HEALTH_CONSUMER_WAITING" and "database" in finding.evidence.get("troubles", ()):
        # It answers readers; only the consumer knows whether it accepts rows.
        yield "database", finding.severity.status
