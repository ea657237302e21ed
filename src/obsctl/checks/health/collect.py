"""All layers asked at the same time: VIP, cluster, every host over ssh, back ends, database."""

from __future__ import annotations

import http.client
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import msgspec

from obsctl.checks.ask import database, ssh
from obsctl.checks.ask.http import get
from obsctl.checks.health.snapshot import AlerterPage, BackendProbe, Disk, HealthSnapshot, HostProbe
from obsctl.checks.kafka.collect import collect_cluster
from obsctl.checks.vip.collect import collect_vip
from obsctl.core.consumer_page import ConsumerPage
from obsctl.core.decoding import UndecodableError, decode_json
from obsctl.core.errors import MissingDependencyError
from obsctl.core.report import Fault
from obsctl.core.secrets import redact
from obsctl.fleet.model import Fleet, Host

#: For everything on one host together, in seconds.
_HOST_DEADLINE_S = 6.0
_BACKEND_DEADLINE_S = 2.5
T = TypeVar("T")
_GROUPS = ("lb", "backend", "kafka", "filebeat", "mysql", "consumer")


def units_of(fleet: Fleet, host: Host) -> tuple[str, ...]:
    """Return the systemd units that a host must run, from its groups."""
    by_group = {
        "lb": ("nginx", "keepalived"),
        "backend": ("obs-backend",),
        "kafka": ("kafka",),
        "filebeat": ("filebeat",),
        "mysql": (fleet.database.service,) if fleet.database.service else (),
        "consumer": ("obsctl-consumer", "obsctl-alerter"),
    }
    return tuple(unit for group in _GROUPS if group in host.groups for unit in by_group[group])


def collect_health(fleet: Fleet) -> HealthSnapshot:
    """Ask every layer; what one of them does not answer stands in its own part or in ``errors``.

    Raises:
        MissingDependencyError: there is no ssh client.
    """
    backends = fleet.group("backend")
    # One thread for each question: a dead host delays its own answer only.
    with ThreadPoolExecutor(max_workers=len(fleet.hosts) + len(backends) + 3) as pool:
        vip = pool.submit(collect_vip, fleet) if fleet.vip else None
        kafka = pool.submit(collect_cluster, fleet) if fleet.group("kafka") else None
        rows = pool.submit(database.probe, fleet) if fleet.database.host else None
        hosts = [pool.submit(probe_host, fleet, host) for host in fleet.hosts]
        answers = [pool.submit(_backend, host) for host in backends]
    faults: list[Fault] = []
    seen_vip = _part("vip", vip, faults)
    seen_kafka = _part("kafka", kafka, faults)
    return HealthSnapshot(
        vip=seen_vip,
        kafka=seen_kafka,
        hosts=tuple(future.result() for future in hosts),
        backends=tuple(future.result() for future in answers),
        database=_part("database", rows, faults),
        errors=(*(error for part in (seen_vip, seen_kafka) if part is not None for error in part.errors), *faults),
    )


def _part(layer: str, answer: Future[T] | None, faults: list[Fault]) -> T | None:
    """Return a layer's answer; what breaks off a part is the part's own fault, never the end of the others."""
    try:
        return answer.result() if answer else None
    except MissingDependencyError:
        raise
    except Exception as error:
        faults.append(Fault(code="HEALTH_LAYER_NOT_ASKED", object=f"layer/{layer}", summary=_broken(error)))
        return None


def _broken(error: Exception) -> str:
    return f"the check broke off: {redact(str(error)) or type(error).__name__}"


def _script(fleet: Fleet, host: Host) -> str:
    """Return the shell script that prints what :func:`read_host` reads."""
    units = " ".join(units_of(fleet, host))
    # The programs answer in one language, whatever the host speaks.
    asks = ["export LC_ALL=C"]
    asks += [f'for unit in {units}; do echo "unit $unit $(systemctl is-active $unit)"; done'] if units else []
    # -l: only local file systems; a hung network mount must not hang the script. Mounts below /run are not
    # places where anything of the fleet's is kept.
    asks.append(
        'df -P -l -k -x tmpfs -x devtmpfs 2>/dev/null | awk \'NR > 1 && $6 !~ "^/run/" {print "disk", $4, $5, $6}\''
    )
    for service, port in _pages(fleet, host).items():
        asks.append(f"printf 'page {service} '; curl -s -m 2 http://127.0.0.1:{port}/health | tr -d '\\n'; echo")
    return "; ".join(asks)


def _pages(fleet: Fleet, host: Host) -> dict[str, int]:
    if "consumer" not in host.groups:
        return {}
    return {"consumer": fleet.consumer.metrics_port, "alerter": fleet.alerter.metrics_port}


def probe_host(fleet: Fleet, host: Host) -> HostProbe:
    """Ask a host over ssh for its units, its disks and its health pages.

    Raises:
        MissingDependencyError: there is no ssh client.
    """
    try:
        answer = ssh.run(host, _script(fleet, host), deadline_s=_HOST_DEADLINE_S)
    except MissingDependencyError:
        raise
    except Exception as error:
        return HostProbe(name=host.name, failure=_broken(error))
    if answer.failure:
        return HostProbe(name=host.name, failure=answer.failure)
    probe = read_host(host.name, answer.output)
    # A shell that lets in and runs nothing (nologin, a forced command) must not look like a host without a fault.
    if probe.units.keys() != set(units_of(fleet, host)):
        said = answer.output.strip().partition("\n")[0][:80]
        return HostProbe(name=host.name, failure=f"its shell does not print the states of its units, but {said!r}")
    return probe


def read_host(name: str, output: str) -> HostProbe:
    """Read what the script printed: lines ``unit NAME STATE``, ``disk FREE_KIB USED% MOUNT``, ``page NAME JSON``."""
    units: dict[str, str] = {}
    disks: list[Disk] = []
    probe = HostProbe(name=name)
    for line in output.splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "unit":
            unit, _, state = rest.partition(" ")
            units[unit] = state.strip() or "unknown"
        elif kind == "disk" and len(fields := rest.split(None, 2)) == 3:
            free_kib, used, mount = fields
            if used.rstrip("%").isdigit() and free_kib.isdigit():
                disks.append(Disk(mount=mount, used_percent=int(used.rstrip("%")), free_bytes=int(free_kib) * 1024))
        elif kind == "page":
            service, _, text = rest.partition(" ")
            probe = _with_page(probe, service, text)
    return msgspec.structs.replace(probe, units=units, disks=tuple(disks))


def _with_page(probe: HostProbe, service: str, text: str) -> HostProbe:
    """Return the probe with a service's health page, or with the reason why there is none."""
    try:
        if service == "consumer" and text.strip():
            return msgspec.structs.replace(probe, consumer=decode_json(text, ConsumerPage))
        if service == "alerter" and text.strip():
            return msgspec.structs.replace(probe, alerter=decode_json(text, AlerterPage))
    except UndecodableError as error:
        why = f"is unreadable ({error})"
    else:
        why = "does not answer"
    return msgspec.structs.replace(probe, no_page={**probe.no_page, service: why})


def _backend(host: Host) -> BackendProbe:
    port = host.backend.port if host.backend else 8080
    began = time.monotonic()
    try:
        status: int | None = get(host.address, port, "/healthz", deadline_s=_BACKEND_DEADLINE_S).status
    except (OSError, http.client.HTTPException):
        status = None
    return BackendProbe(name=host.name, status=status, took_ms=round((time.monotonic() - began) * 1000))
