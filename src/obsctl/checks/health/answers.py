"""What answered in one run: a host without ssh may answer otherwise, and an active unit may do nothing. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from obsctl.checks.health.snapshot import HealthSnapshot, HostProbe
from obsctl.checks.silence import is_silence
from obsctl.fleet.model import Fleet, Host

#: States of a process that a signal or a debugger has stopped (proc(5)).
STOPPED = ("T", "t")


class Idle(NamedTuple):
    """A unit that is active for systemd but does nothing.

    Attributes:
        stopped: whether its main process is stopped.
        port: on which it did not answer in time; None if it did, or was not asked.
    """

    unit: str
    stopped: bool
    port: int | None


def answering(fleet: Fleet, snapshot: HealthSnapshot, name: str) -> dict[str, str]:
    """Return what on a host has answered in this run, besides ssh: layers, each with a short text."""
    found = {}
    nodes = snapshot.vip.nodes if snapshot.vip is not None else ()
    # If nginx listens only on the VIP, the node itself was not asked from here.
    reachable = fleet.vip is not None and not fleet.vip.exclusive
    if reachable and any(node.name == name and not node.nginx_failure for node in nodes):
        found["nginx"] = "its nginx"
    if any(backend.name == name and backend.status is not None for backend in snapshot.backends):
        found["obs-backend"] = "its back end"
    brokers = snapshot.kafka.brokers if snapshot.kafka is not None else ()
    if any(broker.host == name and broker.heard for broker in brokers):
        found["kafka"] = "its broker"
    host, database = fleet.host(name), snapshot.database
    well = database is not None and database.asked and not database.failure
    if well and host is not None and _has_database(fleet, host):
        found["database"] = "its database"
    return found


def idle(fleet: Fleet, snapshot: HealthSnapshot, probe: HostProbe) -> Iterator[Idle]:
    """Yield a host's active units whose process is stopped or whose port does not answer."""
    for unit, state in probe.units.items():
        if state == "active":
            stopped = probe.processes.get(unit, "") in STOPPED
            port = _silent_port(fleet, snapshot, probe, unit)
            if stopped or port is not None:
                yield Idle(unit, stopped, port)


def _silent_port(fleet: Fleet, snapshot: HealthSnapshot, probe: HostProbe, unit: str) -> int | None:
    host = fleet.host(probe.name)
    if unit in probe.silent or host is None:
        return probe.silent.get(unit)
    failures: list[str] = []
    port = None
    if unit == "nginx" and snapshot.vip is not None and not any(is_silence(b.failure) for b in snapshot.backends):
        # (If it passed the request to a back end that is silent, this says nothing about nginx.)
        failures = [node.nginx_failure for node in snapshot.vip.nodes if node.name == host.name]
        port = snapshot.vip.port
    elif unit == "obs-backend" and host.backend is not None:
        failures = [backend.failure for backend in snapshot.backends if backend.name == host.name]
        port = host.backend.port
    elif unit == "kafka" and host.kafka is not None and snapshot.kafka is not None:
        failures = [broker.failure for broker in snapshot.kafka.brokers if broker.host == host.name]
        port = host.kafka.broker_port
    elif unit == fleet.database.service and snapshot.database is not None and _has_database(fleet, host):
        failures = [snapshot.database.failure]
        port = fleet.database.port
    return port if any(map(is_silence, failures)) else None


def _has_database(fleet: Fleet, host: Host) -> bool:
    return "mysql" in host.groups and fleet.database.host in (host.address, host.name)
