"""Judges all layers: some by their own checks, the rest by :mod:`obsctl.checks.health.rules`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from obsctl.checks.certs.judge import judge_certificates
from obsctl.checks.consumer.loss import judge_losses
from obsctl.checks.health.answers import STOPPED, answering
from obsctl.checks.health.clocks import judge_clocks
from obsctl.checks.health.detail import detail
from obsctl.checks.health.layers import HOSTS, LAYERS, expected, seen
from obsctl.checks.health.rules import backends, database, disks, hosts, not_asked, retention, services, units
from obsctl.checks.health.snapshot import DatabaseProbe, HealthSnapshot, HostProbe
from obsctl.checks.health.statuses import statuses
from obsctl.checks.kafka.judge import judge_cluster
from obsctl.checks.logs.judge import judge_shipping
from obsctl.checks.vip.judge import judge_vip
from obsctl.core.acknowledgement import applied
from obsctl.core.report import Finding, worst
from obsctl.fleet.model import Fleet


def judge_health(fleet: Fleet, snapshot: HealthSnapshot) -> list[Finding]:
    """Return the findings, layer by layer, in the order in which a line passes them."""
    findings: list[Finding] = []
    if snapshot.vip is not None:
        findings += judge_vip(fleet, snapshot.vip)
    if snapshot.kafka is not None:
        findings += judge_cluster(fleet, snapshot.kafka)
    for probe in snapshot.hosts:
        findings += judge_host(fleet, probe, answering(fleet, snapshot, probe.name))
        findings += units.frozen(fleet, snapshot, probe)
    findings += judge_clocks({probe.name: probe.clock for probe in snapshot.hosts if probe.clock is not None})
    if snapshot.logs is not None:
        findings += judge_shipping(fleet, snapshot.logs)
    if snapshot.certificates is not None:
        findings += judge_certificates(fleet, snapshot.certificates)
    findings += services.none_active(snapshot)
    for backend in snapshot.backends:
        findings += backends.down(backend)
    if snapshot.database is not None:
        findings += judge_database(fleet, snapshot.database)
        findings += judge_losses(snapshot.database.losses or ())
    if snapshot.kafka is not None:
        findings += retention.expired(fleet, snapshot.kafka)
    findings = applied(findings, snapshot.acknowledged)
    return [*findings, *not_asked.layers_not_asked(fleet, snapshot, findings)]


def judge_host(fleet: Fleet, probe: HostProbe, answers: Mapping[str, str] = MappingProxyType({})) -> Iterator[Finding]:
    """Yield the findings about a host: itself, its units, its disks, and its health pages.

    Args:
        answers: what on the host answered other than over ssh, as text.
    """
    if not probe.answered:
        yield from hosts.not_answering(fleet, probe, answers)
        return
    yield from units.down(fleet, probe)
    yield from disks.low(probe)
    yield from services.pages(probe)


def judge_database(fleet: Fleet, probe: DatabaseProbe) -> Iterator[Finding]:
    """Yield the findings about the database."""
    yield from database.not_asked(probe)
    yield from database.down(fleet, probe)
    if probe.asked and not probe.failure:
        yield from database.quarantine(fleet, probe)
        yield from database.catch_all(fleet, probe)


def describe_health(fleet: Fleet, snapshot: HealthSnapshot) -> dict[str, Any]:
    """Return one row for each layer, with the most important numbers."""
    return describe(fleet, snapshot, judge_health(fleet, snapshot))


def describe(fleet: Fleet, snapshot: HealthSnapshot, findings: Iterable[Finding]) -> dict[str, Any]:
    """Return these rows, with the statuses that follow from the given findings."""
    found = statuses(fleet, snapshot, findings)
    layers = [
        {
            "layer": layer.name,
            "status": worst(found.get(layer.name, [])).value,
            "detail": detail(fleet, snapshot, layer),
        }
        for layer in LAYERS
        if expected(fleet, layer) or seen(snapshot, layer.name)
    ]
    if snapshot.hosts:
        row = {"layer": HOSTS, "status": worst(found.get(HOSTS, [])).value, "detail": _hosts_detail(snapshot)}
        layers.insert(0, row)
    rows = [_host_row(probe) for probe in sorted(snapshot.hosts, key=_is_well)]
    metrics = {"hosts": len(rows), "hosts_answering": sum(probe.answered for probe in snapshot.hosts)}
    return {"metrics": metrics, "layers": layers, "hosts": rows}


def _host_row(probe: HostProbe) -> dict[str, Any]:
    off = [f"{unit} {state}" for unit, state in probe.units.items() if state != "active"]
    off += [f"{unit} stopped" for unit, state in probe.processes.items() if state in STOPPED]
    active = sum(state == "active" for state in probe.units.values())
    least = min(probe.disks, key=lambda disk: disk.free_share, default=None)
    return {
        "host": probe.name,
        "answers": probe.answered,
        "running": (f"{active} of {len(probe.units)}" + (f": {', '.join(off)}" if off else ""))
        if probe.units
        else probe.failure or "-",
        "least_free_disk": None if least is None else f"{least.free_share:.0%} {least.mount}",
        "units": ", ".join(f"{unit} {state}" for unit, state in probe.units.items()) or probe.failure,
    }


def _is_well(probe: HostProbe) -> bool:
    """Whether a host's row is unremarkable."""
    return (
        probe.answered
        and all(state == "active" for state in probe.units.values())
        and not any(state in STOPPED for state in probe.processes.values())
        and all(disk.free_share >= disks.DISK_WARNING for disk in probe.disks)
    )


def _hosts_detail(snapshot: HealthSnapshot) -> str:
    answered = sum(probe.answered for probe in snapshot.hosts)
    all_disks = [(disk.free_share, disk.mount, probe.name) for probe in snapshot.hosts for disk in probe.disks]
    share, mount, name = min(all_disks, default=(0.0, "", ""))
    least = f", least free disk {share:.0%} ({mount} on {name})" if all_disks else ""
    return f"{answered} of {len(snapshot.hosts)} answer over ssh{least}"
