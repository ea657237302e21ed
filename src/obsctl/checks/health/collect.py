"""Queries all layers in parallel: VIP, cluster, every host over ssh, back ends, database."""

from __future__ import annotations

import datetime
import http.client
import time
from concurrent.futures import Future
from typing import TypeVar

import msgspec

from obsctl.checks.ask import database, ssh
from obsctl.checks.ask.acknowledged import ask_acknowledged
from obsctl.checks.ask.at_once import AtOnce
from obsctl.checks.ask.http import get, words
from obsctl.checks.ask.web import backend_tls
from obsctl.checks.certs.collect import collect_certs
from obsctl.checks.health.clocks import Clock
from obsctl.checks.health.layers import CONSOLE
from obsctl.checks.health.snapshot import AlerterPage, BackendProbe, Disk, HealthSnapshot, HostProbe
from obsctl.checks.kafka.collect import collect_cluster
from obsctl.checks.logs.collect import collect_passive
from obsctl.checks.vip.collect import collect_vip
from obsctl.core.consumer_page import ConsumerPage
from obsctl.core.decoding import UndecodableError, decode_json
from obsctl.core.errors import ConfigError, MissingDependencyError
from obsctl.core.report import Fault
from obsctl.core.secrets import redact
from obsctl.core.utc import iso
from obsctl.fleet.model import Fleet, Host, Ssh

#: Time limit for everything on one host, seconds.
_HOST_DEADLINE_S = 6.0
_BACKEND_DEADLINE_S = 2.5
#: Port of Filebeat's own page on the host (the role's filebeat_http_port).
_FILEBEAT_PORT = 5066
#: curl's exit status for a timeout, with no answer or an incomplete one.
_CURL_TIMED_OUT = "28"
T = TypeVar("T")
_GROUPS = ("lb", "backend", "kafka", "filebeat", "mysql", "consumer")


def units_of(fleet: Fleet, host: Host) -> tuple[str, ...]:
    """Return the systemd units that a host must run, by its groups."""
    by_group = {
        "lb": ("nginx", "keepalived"),
        "backend": ("obs-backend",),
        "kafka": ("kafka",),
        "filebeat": ("filebeat",),
        "mysql": (fleet.database.service,) if fleet.database.service else (),
        "consumer": ("obsctl-consumer", "obsctl-alerter"),
    }
    units = tuple(unit for group in _GROUPS if group in host.groups for unit in by_group[group])
    return (*units, CONSOLE) if host.console is not None else units


def collect_health(fleet: Fleet) -> HealthSnapshot:
    """Query every layer; a failure of one is recorded in its own part or in ``errors``.

    Raises:
        MissingDependencyError: there is no ssh client.
    """
    backends = fleet.group("backend")
    with AtOnce(len(fleet.hosts) + len(backends) + 5) as pool:
        vip = pool.submit(collect_vip, fleet) if fleet.vip else None
        kafka = pool.submit(collect_cluster, fleet) if fleet.group("kafka") else None
        rows = pool.submit(database.probe, fleet) if fleet.database.host else None
        logs = pool.submit(collect_passive, fleet) if fleet.group("filebeat") else None
        certificates = pool.submit(collect_certs, fleet)
        hosts = [pool.submit(probe_host, fleet, host) for host in fleet.hosts]
        answers = [pool.submit(_backend, fleet, host) for host in backends]
    faults: list[Fault] = []
    seen_vip = _part("vip", vip, faults)
    seen_kafka = _part("kafka", kafka, faults)
    seen_rows = _part("database", rows, faults)
    return HealthSnapshot(
        vip=seen_vip,
        kafka=seen_kafka,
        hosts=tuple(future.result() for future in hosts),
        backends=tuple(future.result() for future in answers),
        database=seen_rows,
        logs=_part("filebeat", logs, faults),
        certificates=_part("tls", certificates, faults),
        acknowledged=ask_acknowledged(fleet) if seen_rows is not None and seen_rows.losses else (),
        errors=(*(error for part in (seen_vip, seen_kafka) if part is not None for error in part.errors), *faults),
    )


def collect_here(fleet: Fleet, name: str, deadline_s: float) -> HealthSnapshot:
    """Query what one host of the fleet can reach without a login on others: brokers, the database, and itself.

    Back ends are left out: the firewall only admits the balancers.

    Args:
        fleet: with this host's accounts.
        name: of this host in the inventory; if it is not there, the host is not asked about itself.
        deadline_s: time limit for the host itself and for the database, seconds.
    """
    own = [msgspec.structs.replace(host, ssh=Ssh(local=True)) for host in fleet.hosts if host.name == name]
    with AtOnce(len(own) + 2) as pool:
        kafka = pool.submit(collect_cluster, fleet) if fleet.group("kafka") else None
        rows = pool.submit(database.probe, fleet, deadline_s=deadline_s) if fleet.database.host else None
        hosts = [pool.submit(probe_host, fleet, host, deadline_s) for host in own]
    faults: list[Fault] = []
    seen_kafka = _part("kafka", kafka, faults)
    seen_rows = _part("database", rows, faults)
    return HealthSnapshot(
        kafka=seen_kafka,
        hosts=tuple(future.result() for future in hosts),
        database=seen_rows,
        acknowledged=ask_acknowledged(fleet) if seen_rows is not None and seen_rows.losses else (),
        errors=(*(seen_kafka.errors if seen_kafka is not None else ()), *faults),
    )


def _part(layer: str, answer: Future[T] | None, faults: list[Fault]) -> T | None:
    """Return a layer's answer; an error in one part is recorded as that part's fault and does not end the others."""
    try:
        return answer.result() if answer else None
    except MissingDependencyError:
        raise
    except Exception as error:
        faults.append(Fault(code="HEALTH_LAYER_NOT_ASKED", object=f"layer/{layer}", summary=_broken(error)))
        return None


def _broken(error: Exception) -> str:
    return f"the check failed: {redact(str(error)) or type(error).__name__}"


#: Prints ``process UNIT STATE SINCE`` for ``$unit``, if it has a process or systemd knows since when it has none.
_PROCESS = (
    "pid=$(systemctl show -p MainPID $unit | cut -d= -f2); "
    'echo "process $unit $(sed "s/.*) //" /proc/${pid:-0}/stat 2>/dev/null | cut -c 1 | grep . || echo -) '
    '$(TZ=UTC systemctl show -p StateChangeTimestamp $unit | cut -d= -f2-)"'
)


def _script(fleet: Fleet, host: Host) -> str:
    """Return the shell script that prints the input of :func:`read_host`."""
    units = " ".join(units_of(fleet, host))
    # The programs must answer in English, whatever the host's language is.
    asks = ["export LC_ALL=C", 'date "+clock %s.%N"']
    asks += [f'for unit in {units}; do echo "unit $unit $(systemctl is-active $unit)"; done'] if units else []
    # A unit that systemd reports as active may hang: so read the state of its main process, too.
    asks += [f"for unit in {units}; do {_PROCESS}; done"] if units else []
    # -l: only local file systems; a hung network mount must not hang the script. Nothing of the fleet is stored in
    # mounts below /run.
    asks.append(
        'df -P -l -k -x tmpfs -x devtmpfs 2>/dev/null | awk \'NR > 1 && $6 !~ "^/run/" {print "disk", $4, $2, $6}\''
    )
    for service, port in _pages(fleet, host).items():
        asks.append(f"printf 'page {service} '; curl -s -m 2 http://127.0.0.1:{port}/health | tr -d '\\n'; echo")
    if "filebeat" in host.groups:
        asks.append(_asks("filebeat", _FILEBEAT_PORT, "http"))
    if host.console is not None:
        tls = any(listener.use == "console" for listener in host.certificates)
        asks.append(_asks(CONSOLE, host.console.port, "https" if tls else "http"))
    return "; ".join(asks)


def _asks(unit: str, port: int, scheme: str) -> str:
    """Return the command that asks whether a unit answers at all; `certs status` judges the certificates."""
    return f"curl -s -k -m 2 -o /dev/null {scheme}://127.0.0.1:{port}/; echo asked {unit} {port} $?"


def _pages(fleet: Fleet, host: Host) -> dict[str, int]:
    if "consumer" not in host.groups:
        return {}
    return {"consumer": fleet.consumer.metrics_port, "alerter": fleet.alerter.metrics_port}


def probe_host(fleet: Fleet, host: Host, deadline_s: float = _HOST_DEADLINE_S) -> HostProbe:
    """Ask a host over ssh for its units, disks and health pages.

    Args:
        deadline_s: time limit for all of it, seconds.

    Raises:
        MissingDependencyError: there is no ssh client.
    """
    asked = time.time()
    try:
        answer = ssh.run(host, _script(fleet, host), deadline_s=deadline_s)
    except MissingDependencyError:
        raise
    except Exception as error:
        return HostProbe(name=host.name, failure=_broken(error))
    if answer.failure:
        return _silent(host, answer)
    answered = time.time()
    probe = read_host(host.name, answer.output)
    # A login whose shell runs nothing (nologin, a forced command) must not look like a host without faults.
    if probe.units.keys() != set(units_of(fleet, host)):
        said = answer.output.strip().partition("\n")[0][:80]
        return _silent(host, ssh.refused_by_shell(host, said))
    shown = _time_shown(answer.output)
    return msgspec.structs.replace(
        probe, clock=None if shown is None else Clock(asked=asked, answered=answered, shown=shown)
    )


def _time_shown(output: str) -> float | None:
    """Return the host's own time, from the script's line ``clock SECONDS``."""
    for line in output.splitlines():
        kind, _, seconds = line.partition(" ")
        if kind == "clock":
            try:
                return float(seconds)
            except ValueError:
                return None
    return None


def _silent(host: Host, answer: ssh.Answer) -> HostProbe:
    return HostProbe(name=host.name, failure=answer.failure, failure_kind=answer.kind, hint=answer.hint)


def read_host(name: str, output: str) -> HostProbe:
    """Parse the script's output.

    Its lines are ``unit NAME STATE``, ``process NAME STATE SINCE``, ``disk FREE_KIB SIZE_KIB MOUNT``,
    ``page NAME JSON`` and ``asked NAME PORT STATUS`` with curl's exit status.
    """
    units: dict[str, str] = {}
    processes: dict[str, str] = {}
    since: dict[str, str] = {}
    silent: dict[str, int] = {}
    disks: list[Disk] = []
    probe = HostProbe(name=name)
    for line in output.splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "unit":
            unit, _, state = rest.partition(" ")
            units[unit] = state.strip() or "unknown"
        elif kind == "process" and len(fields := rest.split(None, 2)) >= 2:
            processes[fields[0]] = "" if fields[1] == "-" else fields[1]
            if moment := _moment(fields[2]) if len(fields) == 3 else "":
                since[fields[0]] = moment
        elif kind == "disk" and len(fields := rest.split(None, 2)) == 3:
            free_kib, size_kib, mount = fields
            if size_kib.isdigit() and free_kib.isdigit():
                disks.append(Disk(mount=mount, free_bytes=int(free_kib) * 1024, total_bytes=int(size_kib) * 1024))
        elif kind == "asked" and len(fields := rest.split()) == 3 and fields[2] == _CURL_TIMED_OUT:
            silent[fields[0]] = int(fields[1])
        elif kind == "page":
            service, _, text = rest.partition(" ")
            probe = _with_page(probe, service, text)
    return msgspec.structs.replace(
        probe, units=units, processes=processes, since=since, silent=silent, disks=tuple(disks)
    )


def _moment(text: str) -> str:
    """Return a time of systemd's in UTC (``Sat 2026-01-03 12:55:54 UTC``) as ISO 8601; empty for none."""
    try:
        moment = datetime.datetime.strptime(text.strip().replace("UTC", "+0000"), "%a %Y-%m-%d %H:%M:%S %z")
    except ValueError:
        return ""
    return iso(moment)


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


def _backend(fleet: Fleet, host: Host) -> BackendProbe:
    port = host.backend.port if host.backend else 8080
    began = time.monotonic()
    status, failure = None, ""
    try:
        tls = backend_tls(fleet)
        status = get(host.address, port, "/healthz", deadline_s=_BACKEND_DEADLINE_S, tls=tls).status
    except ConfigError as error:
        failure = str(error)
    except (OSError, http.client.HTTPException) as error:
        failure = words(error)
    took_ms = round((time.monotonic() - began) * 1000)
    return BackendProbe(name=host.name, status=status, took_ms=took_ms, failure=failure)
