"""What prevents an installation, each problem with its fix."""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from obsctl.checks.health.clocks import judge_clocks
from obsctl.checks.ready.needs import Port, ports_of
from obsctl.checks.ready.snapshot import HostLook, Path, ReadySnapshot
from obsctl.core.report import Finding, Severity
from obsctl.fleet.login import connect_command
from obsctl.fleet.model import Fleet, Host

#: Least free space for packages, a virtual environment and a day of logs. The preflight checks Kafka's own needs.
_DISK_CRITICAL_BYTES = 1 * 2**30
_DISK_WARNING_BYTES = 5 * 2**30
#: The error of the other host's own firewall, which the playbooks open.
_REJECTED = "No route to host"
#: How the preflight's texts about hosts that it could not ask begin.
_NOT_REACHED = "cannot be reached"


def judge_ready(fleet: Fleet, seen: ReadySnapshot) -> list[Finding]:
    """Return the findings: first hosts that cannot be asked, then the inventory, then the hosts' state."""
    findings = [_not_asked(look) for look in seen.hosts if look.failure]
    findings += _inventory(seen)
    looks = {look.name: look for look in seen.hosts if not look.failure}
    for host in fleet.hosts:
        if host.name in looks:
            findings += _host(fleet, host, looks[host.name])
    findings += judge_clocks({name: look.clock for name, look in looks.items() if look.clock is not None})
    findings += _same_machine(looks)
    findings += _vip(fleet, seen)
    return [*findings, *_paths(looks)]


def _not_asked(look: HostLook) -> Finding:
    return Finding(
        code="PRE_HOST_NOT_ASKED",
        severity=Severity.CRITICAL,
        object=f"host/{look.name}",
        summary=f"ssh login fails: {look.failure}",
        evidence={"kind": look.failure_kind.value if look.failure_kind else None},
        hint=look.hint,
    )


def _inventory(seen: ReadySnapshot) -> Iterator[Finding]:
    """Yield what the preflight found, without hosts that it could not reach, either: they have a finding already."""
    # The preflight reports each missing thing separately.
    if seen.unread and not seen.problems:
        yield Finding(
            code="PRE_INVENTORY",
            severity=Severity.CRITICAL,
            object="inventory",
            summary=seen.unread,
            hint=seen.unread_hint,
        )
    silent = {look.name for look in seen.hosts if look.failure}
    for problem in seen.problems:
        if problem.problem.startswith(_NOT_REACHED) and silent.issuperset(problem.host.split(", ")):
            continue
        yield Finding(
            code="PRE_INVENTORY",
            severity=Severity.CRITICAL,
            object=f"inventory/{problem.host}",
            summary=problem.problem,
            hint=problem.fix,
        )


def _host(fleet: Fleet, host: Host, look: HostLook) -> Iterator[Finding]:
    where = f"host/{look.name}"
    if look.sudo_failure:
        yield Finding(
            code="PRE_SUDO",
            severity=Severity.CRITICAL,
            object=where,
            summary=look.sudo_failure,
            hint=f"{look.sudo_hint}; or let the playbooks ask for it: {fleet.playbook('site')} -K",
        )
    for port in ports_of(fleet, host):
        yield from _taken(look, port)
    for disk in look.file_systems:
        if disk.free_bytes < _DISK_WARNING_BYTES:
            yield Finding(
                code="PRE_DISK_LOW",
                severity=Severity.CRITICAL if disk.free_bytes < _DISK_CRITICAL_BYTES else Severity.WARNING,
                object=where,
                summary=f"{disk.free_bytes // 2**20} MiB are free on {disk.mount}",
                evidence={"free_bytes": disk.free_bytes},
                hint=f"on {look.name}: `du -xh {disk.mount} --max-depth 3 | sort -h | tail`; or give it a larger disk",
            )
    if look.addresses and not _carries(look):
        yield Finding(
            code="PRE_ADDRESS_NOT_OWN",
            severity=Severity.WARNING,
            object=where,
            summary=f"none of its interfaces has {look.address}, the address in the inventory; it has "
            f"{', '.join(_outward(look)) or 'none'}",
            evidence={"addresses": list(look.addresses)},
            hint="the services of the other hosts connect to that address and bind to it: set ansible_host to one of "
            "its own, and reach it through a jump host where you must",
        )
    if look.synchronized is False:
        services = ", ".join(look.time_services)
        yield Finding(
            code="PRE_TIME_NOT_SYNCHRONIZED",
            severity=Severity.WARNING if services else Severity.INFO,
            object=where,
            summary=f"{services} runs, but the clock follows no time server"
            if services
            else "the clock follows no time server yet",
            hint=f"on {look.name}: `timedatectl status`, and with chrony `chronyc sources`: can it reach its servers "
            "(UDP port 123)?"
            if services
            else "site.yml installs and starts chrony",
        )


def _taken(look: HostLook, port: Port) -> Iterator[Finding]:
    """Yield findings that another program listens on one of the fleet's ports."""
    for listener in look.listeners:
        # If the unit runs, it is the service itself, from an earlier installation.
        if listener.port == port.number and port.unit not in look.running:
            yield Finding(
                code="PRE_PORT_TAKEN",
                severity=Severity.CRITICAL,
                object=f"host/{look.name}",
                summary=f"port {port.number}, which {port.unit} needs, is taken by "
                f"{listener.program or 'another program'} on {listener.address}",
                evidence={"port": port.number, "program": listener.program},
                hint=f"on {look.name}: `ss -ltnp 'sport = :{port.number}'` shows the process; stop and disable it, or "
                f"give {port.unit} another port in the inventory",
            )
            return


def _same_machine(looks: dict[str, HostLook]) -> Iterator[Finding]:
    by_id: dict[str, list[str]] = defaultdict(list)
    for name, look in looks.items():
        if look.machine_id:
            by_id[look.machine_id].append(name)
    for machine, names in by_id.items():
        if len(names) > 1:
            yield Finding(
                code="PRE_SAME_MACHINE",
                severity=Severity.WARNING,
                object=f"host/{names[0]}",
                summary=f"{', '.join(names)} have one machine id: it is one machine, or clones of one",
                evidence={"machine_id": machine, "hosts": names},
                hint="one machine: give it one name in the inventory and all its groups. Clones: on each of them "
                "`rm /etc/machine-id; systemd-machine-id-setup`, then reboot",
            )


def _vip(fleet: Fleet, seen: ReadySnapshot) -> Iterator[Finding]:
    """Yield a finding that the VIP is used by a machine that is not a balancer of the inventory."""
    if fleet.vip is None:
        return
    balancers = {host.name for host in fleet.group("lb")}
    looks = [look for look in seen.hosts if look.name in balancers and not look.failure]
    asking = [look.name for look in looks if look.vip_answers]
    held = any(fleet.vip.address in look.addresses for look in looks)
    # A balancer that could not be asked may hold it.
    unknown = len(looks) < len(balancers)
    if held or not (seen.vip_answers or asking):
        return
    yield Finding(
        code="PRE_ADDRESS_TAKEN",
        severity=Severity.UNKNOWN if unknown else Severity.CRITICAL,
        object=f"vip/{fleet.vip.address}",
        summary="answers already, "
        + ("and not all balancers could be asked whether they hold it" if unknown else "and no balancer holds it"),
        evidence={"asked_from": [*(["here"] if seen.vip_answers else []), *asking]},
        hint=f"on {asking[0]}: `ip neigh show to {fleet.vip.address}` shows the hardware address of the machine that "
        "has it; choose another fleet_vip, or take it from that machine"
        if asking
        else f"`ip neigh show to {fleet.vip.address}` shows the hardware address of the machine that has it; choose "
        "another fleet_vip, or take it from that machine",
    )


def _paths(looks: dict[str, HostLook]) -> Iterator[Finding]:
    """Yield findings about connections that fail, one for each port."""
    blocked: dict[tuple[str, int, str], list[tuple[str, Path]]] = defaultdict(list)
    for look in looks.values():
        for path in look.paths:
            # A host that is unreachable has a finding already.
            if path.failure and path.to in looks:
                blocked[path.to, path.port, path.failure].append((look.name, path))
    for (to, port, failure), found in blocked.items():
        names = [name for name, _path in found]
        path = found[0][1]
        rejected = failure == _REJECTED
        yield Finding(
            code="PRE_PATH_BLOCKED",
            severity=Severity.INFO if rejected else Severity.WARNING,
            object=f"host/{to}",
            summary=f"{', '.join(names)} cannot connect to {path.address} port {port} ({path.purpose}): {failure}",
            evidence={"from": names, "port": port},
            hint="a firewall refuses, presumably its own, which site.yml opens for these hosts"
            if rejected
            else f"a firewall on the way drops it; on {names[0]} this must connect or be refused at once: "
            f"`{connect_command(path.address, port)}`",
        )


def _outward(look: HostLook) -> list[str]:
    return [address for address in look.addresses if not ipaddress.ip_address(address).is_loopback]


def _carries(look: HostLook) -> bool:
    """Return whether an interface has the inventory's address; names instead of addresses are left to the preflight."""
    try:
        wanted = ipaddress.ip_address(look.address)
    except ValueError:
        return True
    return wanted in {ipaddress.ip_address(address) for address in look.addresses}


def describe_ready(_fleet: Fleet, seen: ReadySnapshot) -> dict[str, Any]:
    """Return one row for each host."""
    return {
        "hosts": [
            {
                "host": look.name,
                "address": look.address,
                "ssh": not look.failure,
                "root": None if look.failure else not look.sudo_failure,
                "system": look.system or None,
                "synchronized": look.synchronized,
                "memory_bytes": look.memory_bytes,
                "free_bytes": min((disk.free_bytes for disk in look.file_systems), default=None),
                "paths": f"{sum(not path.failure for path in look.paths)} of {len(look.paths)}" if look.paths else None,
            }
            for look in seen.hosts
        ],
        "inventory_problems": len(seen.problems),
    }
