"""The units of systemd on each host: those that are down, and those that are active and do nothing."""

from __future__ import annotations

from collections.abc import Iterator

from obsctl.checks.health.answers import idle
from obsctl.checks.health.layers import CONSOLE, LAYER_OF_UNIT, LAYERS, PAGED
from obsctl.checks.health.snapshot import HealthSnapshot, HostProbe
from obsctl.core.report import Finding, Severity
from obsctl.fleet.model import Fleet

#: Units whose loss delays lines or messages at once; the others are redundant.
_SINGLE_UNITS = {"filebeat", "obsctl-consumer", "obsctl-alerter"}


def down(fleet: Fleet, probe: HostProbe) -> Iterator[Finding]:
    """Units that are not active."""
    for unit, state in probe.units.items():
        if state != "active":
            yield _down(fleet, probe, unit, state)


def frozen(fleet: Fleet, snapshot: HealthSnapshot, probe: HostProbe) -> Iterator[Finding]:
    """Units that are active, but whose process is stopped or whose port does not answer."""
    for unit, stopped, port in idle(fleet, snapshot, probe):
        if unit in PAGED.values():
            continue  # its page is reported under its own code
        silence = f"does not answer on port {port}" if port is not None else ""
        yield Finding(
            code="HEALTH_SERVICE_FROZEN",
            severity=Severity.CRITICAL if _stands_alone(fleet, probe.name, unit) else Severity.WARNING,
            object=f"{unit}/{probe.name}",
            summary="the unit is active, but its main process is stopped (state T)" + (silence and f" and {silence}")
            if stopped
            else f"the unit is active, but {silence}: it is frozen, or a firewall blocks the port",
            evidence={"stopped": stopped, "silent_port": port},
            hint=thaw(probe.name, unit),
        )


def thaw(host: str, unit: str) -> str:
    """Return the commands for a unit that is active but does nothing."""
    return (
        f"on {host}: systemctl kill -s CONT {unit}, which resumes a stopped process; if it still does not answer: "
        f"systemctl restart {unit}"
    )


def _down(fleet: Fleet, probe: HostProbe, unit: str, state: str) -> Finding:
    host = probe.name
    code = {
        "obsctl-consumer": "HEALTH_CONSUMER_DOWN",
        "obsctl-alerter": "HEALTH_ALERTER_DOWN",
        fleet.database.service: "HEALTH_DATABASE_DOWN",
    }.get(unit, "HEALTH_SERVICE_DOWN")
    single = unit in _SINGLE_UNITS or code == "HEALTH_DATABASE_DOWN"
    return Finding(
        code=code,
        severity=Severity.CRITICAL if single else Severity.WARNING,
        object=f"{unit}/{host}",
        summary=f"the unit is {state}, not active",
        evidence={"state": state},
        since=probe.since.get(unit, ""),
        hint=f"on {host}: systemctl status {unit}; journalctl -u {unit} -n 50",
    )


def _stands_alone(fleet: Fleet, name: str, unit: str) -> bool:
    """Whether no other host runs the same unit."""
    if unit == CONSOLE:  # without it nothing is lost or late
        return False
    if unit in _SINGLE_UNITS or unit == fleet.database.service:
        return True
    layer = next((layer for layer in LAYERS if layer.name == LAYER_OF_UNIT.get(unit, unit)), None)
    return layer is not None and not any(host.name != name for host in layer.hosts(fleet))
