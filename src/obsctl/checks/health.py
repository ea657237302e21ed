"""All layers judged together: the VIP and the cluster by their own checks, the rest here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from obsctl.checks.kafka import judge_cluster
from obsctl.checks.vip import judge_vip
from obsctl.contract import Finding, Severity, verdict
from obsctl.fleet.model import Fleet, Host
from obsctl.snapshot.health import BackendProbe, DatabaseProbe, HealthSnapshot, HostProbe

#: A log file system above this is a matter of days; above the second, of hours.
_DISK_WARNING_PERCENT = 85
_DISK_CRITICAL_PERCENT = 95
#: Losing one of these costs data or messages at once; the others have a twin on another host.
_ALONE = {"filebeat", "obsctl-consumer", "obsctl-alerter"}
_SERVICE_PAGES = {"consumer": "obsctl-consumer", "alerter": "obsctl-alerter"}


def judge_health(fleet: Fleet, snapshot: HealthSnapshot) -> list[Finding]:
    """Return what is wrong, layer by layer in the order of a line's way."""
    findings: list[Finding] = []
    if snapshot.vip is not None:
        findings += judge_vip(fleet, snapshot.vip)
    if snapshot.kafka is not None:
        findings += judge_cluster(fleet, snapshot.kafka)
    for probe in snapshot.hosts:
        findings += _host(fleet, probe)
    for backend in snapshot.backends:
        findings += _backend(backend)
    if snapshot.database is not None:
        findings += _database(fleet, snapshot.database)
    return findings


def _host(fleet: Fleet, probe: HostProbe) -> Iterator[Finding]:
    host = fleet.host(probe.name)
    if not probe.answered:
        alone = host is not None and any(len(fleet.group(group)) == 1 for group in host.groups)
        yield Finding(
            code="HEALTH_HOST_DOWN",
            severity=Severity.CRITICAL if alone else Severity.WARNING,
            object=f"host/{probe.name}",
            summary=f"does not answer over ssh ({probe.failure}); it runs {', '.join(_runs(host))}",
            hint=f"ping {host.address if host else probe.name}; look at its console",
        )
        return
    for unit, state in probe.units.items():
        if state != "active":
            yield _unit_down(probe.name, unit, state, fleet)
    for disk in probe.disks:
        if disk.used_percent >= _DISK_WARNING_PERCENT:
            full = disk.used_percent >= _DISK_CRITICAL_PERCENT
            yield Finding(
                code="HEALTH_DISK_FULL",
                severity=Severity.CRITICAL if full else Severity.WARNING,
                object=f"host/{probe.name}",
                summary=f"{disk.mount} is {disk.used_percent} % full, {disk.free_bytes // 2**20} MiB left",
                evidence={"used_percent": disk.used_percent, "free_bytes": disk.free_bytes},
                hint=f"on {probe.name}: du -xh {disk.mount} --max-depth 3 | sort -h | tail",
            )
    for service, page in probe.services.items():
        unit = _SERVICE_PAGES[service]
        if probe.units.get(unit) == "active":
            yield from _service(probe.name, service, page)


def _runs(host: Host | None) -> tuple[str, ...]:
    return host.groups if host is not None else ("?",)


def _unit_down(host: str, unit: str, state: str, fleet: Fleet) -> Finding:
    code = {
        "obsctl-consumer": "HEALTH_CONSUMER_DOWN",
        "obsctl-alerter": "HEALTH_ALERTER_DOWN",
        fleet.database.service: "HEALTH_DATABASE_DOWN",
    }.get(unit, "HEALTH_SERVICE_DOWN")
    lonely = unit in _ALONE or code == "HEALTH_DATABASE_DOWN"
    return Finding(
        code=code,
        severity=Severity.CRITICAL if lonely else Severity.WARNING,
        object=f"{unit}/{host}",
        summary=f"the unit is {state}, not active",
        evidence={"state": state},
        hint=f"on {host}: systemctl status {unit}; journalctl -u {unit} -n 50",
    )


def _service(host: str, service: str, page: dict[str, Any] | None) -> Iterator[Finding]:
    unit = _SERVICE_PAGES[service]
    if page is None:
        yield Finding(
            code=f"HEALTH_{service.upper()}_DOWN",
            severity=Severity.CRITICAL,
            object=f"{unit}/{host}",
            summary="the unit is active, but its health page does not answer",
            hint=f"on {host}: journalctl -u {unit} -n 50; systemctl restart {unit}",
        )
    elif page.get("status") != "ok":
        yield Finding(
            code=f"HEALTH_{service.upper()}_WAITING",
            severity=Severity.CRITICAL,
            object=f"{unit}/{host}",
            summary=f"says {page.get('status')!r}: {_reason(page)}",
            evidence={key: value for key, value in page.items() if isinstance(value, int | float | str)},
            hint=f"on {host}: journalctl -u {unit} -n 50",
        )


def _backend(backend: BackendProbe) -> Iterator[Finding]:
    if backend.status != 200:
        said = "does not answer" if backend.status is None else f"answers {backend.status}"
        yield Finding(
            code="HEALTH_BACKEND_DOWN",
            severity=Severity.WARNING,
            object=f"backend/{backend.name}",
            summary=f"/healthz {said}",
            evidence={"status": backend.status, "took_ms": backend.took_ms},
            hint=f"on {backend.name}: systemctl status obs-backend; journalctl -u obs-backend -n 50",
        )


def _database(fleet: Fleet, database: DatabaseProbe) -> Iterator[Finding]:
    where = f"database/{fleet.database.host}"
    if database.failure:
        yield Finding(
            code="HEALTH_DATABASE_DOWN",
            severity=Severity.CRITICAL,
            object=where,
            summary=database.failure,
            hint="on the database host: systemctl status "
            f"{fleet.database.service or 'mysqld'}; then: nc -vz {fleet.database.host} {fleet.database.port}",
        )
        return
    if database.quarantined_last_day:
        yield Finding(
            code="HEALTH_QUARANTINE",
            severity=Severity.INFO,
            object=where,
            summary=f"{database.quarantined_last_day} lines went to quarantine in the last 24 hours",
            evidence={"lines": database.quarantined_last_day},
            hint="SELECT reason, COUNT(*) FROM obs.quarantine GROUP BY reason",
        )
    if database.catch_all_rows:
        yield Finding(
            code="HEALTH_CATCH_ALL_PARTITION",
            severity=Severity.WARNING,
            object=where,
            summary=f"about {database.catch_all_rows} rows lie in p_max, the partition for days without their own",
            evidence={"rows": database.catch_all_rows},
            hint="a client's or a host's clock is ahead, or the consumer could not make partitions: see its log",
        )


def describe_health(fleet: Fleet, snapshot: HealthSnapshot) -> dict[str, Any]:
    """Return one row a layer, with the numbers that a person looks for first."""
    layers: list[dict[str, Any]] = []
    by_prefix = _statuses(fleet, snapshot)
    if snapshot.vip is not None:
        layers.append(_layer("vip", by_prefix, _vip_detail(fleet, snapshot)))
    for unit in ("nginx", "obs-backend", "filebeat"):
        running, total = _count(snapshot, unit)
        if total:
            layers.append(_layer(unit, by_prefix, f"{running} of {total} running"))
    if snapshot.kafka is not None:
        answered = sum(1 for broker in snapshot.kafka.brokers if broker.answered)
        short = sum(1 for p in snapshot.kafka.partitions if len(p.isr) < len(p.replicas))
        layers.append(
            _layer(
                "kafka",
                by_prefix,
                f"{answered} of {len(snapshot.kafka.brokers)} brokers, {len(snapshot.kafka.partitions)} partitions, "
                f"{short} under-replicated",
            )
        )
    for service in ("consumer", "alerter"):
        page = next((probe.services[service] for probe in snapshot.hosts if service in probe.services), None)
        layers.append(_layer(service, by_prefix, _page_detail(page)))
    if snapshot.database is not None:
        layers.append(_layer("database", by_prefix, _database_detail(snapshot.database)))
    hosts = [
        {
            "host": probe.name,
            "answers": probe.answered,
            "units": ", ".join(f"{unit} {state}" for unit, state in probe.units.items()) or probe.failure,
            "fullest_disk": max((f"{d.used_percent:3d} % {d.mount}" for d in probe.disks), default=None),
        }
        for probe in snapshot.hosts
    ]
    return {"layers": layers, "hosts": hosts}


_LAYER_OF_CODE = {
    "VIP": "vip",
    "LB": "vip",
    "KAFKA": "kafka",
    "HEALTH_CONSUMER": "consumer",
    "HEALTH_ALERTER": "alerter",
    "HEALTH_DATABASE": "database",
    "HEALTH_QUARANTINE": "database",
    "HEALTH_CATCH_ALL": "database",
    "HEALTH_BACKEND": "obs-backend",
}


def _statuses(fleet: Fleet, snapshot: HealthSnapshot) -> dict[str, list[Finding]]:
    layers: dict[str, list[Finding]] = {}
    for finding in judge_health(fleet, snapshot):
        layer = next((name for prefix, name in _LAYER_OF_CODE.items() if finding.code.startswith(prefix)), None)
        layers.setdefault(layer or finding.object.partition("/")[0], []).append(finding)
    return layers


def _layer(name: str, findings: dict[str, list[Finding]], detail: str) -> dict[str, Any]:
    return {"layer": name, "status": verdict(findings.get(name, ()), ()).value, "detail": detail}


def _count(snapshot: HealthSnapshot, unit: str) -> tuple[int, int]:
    states = [probe.units.get(unit) for probe in snapshot.hosts if unit in probe.units]
    return sum(1 for state in states if state == "active"), len(states)


def _vip_detail(fleet: Fleet, snapshot: HealthSnapshot) -> str:
    assert snapshot.vip is not None  # noqa: S101 - the caller asked
    address = fleet.vip.address if fleet.vip else "?"
    holders = [node.name for node in snapshot.vip.nodes if node.holds_vip]
    return f"{address} on {', '.join(holders) or 'no node'}"


def _page_detail(page: dict[str, Any] | None) -> str:
    """The numbers of a health page: whether something waits, and how old the newest line is."""
    if page is None:
        return "no answer"
    if "lines" in page:
        lines, lag = page["lines"], sum(part.get("lag") or 0 for part in page.get("partitions", ()))
        return (
            f"{lines.get('stored')} stored, {lines.get('quarantined')} quarantined since its start, lag {lag}, "
            f"newest event {page.get('newest_event') or '-'} UTC"
        )
    return f"{page.get('firing')} firing, {page.get('waiting')} messages waiting, lag {page.get('lag')}"


def _reason(page: dict[str, Any]) -> str:
    troubles = page.get("troubles") or {}
    said = [f"{name}: {trouble.get('message')}" for name, trouble in troubles.items()]
    return "; ".join(said) or page.get("reason") or "no reason given"


def _database_detail(database: DatabaseProbe) -> str:
    if database.failure:
        return database.failure
    behind = "empty" if database.behind_s is None else f"last row stored {database.behind_s} s ago"
    return f"{database.version}, {behind}, {database.quarantined_last_day or 0} quarantined in 24 h"
