"""All layers judged together: the VIP and the cluster by their own checks, the rest here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from obsctl.checks.health.snapshot import BackendProbe, DatabaseProbe, HealthSnapshot, HostProbe
from obsctl.checks.kafka.judge import group_lag, judge_cluster
from obsctl.checks.kafka.snapshot import KafkaSnapshot
from obsctl.checks.vip.judge import judge_vip
from obsctl.core.report import Fault, Finding, Severity, Status, worst
from obsctl.fleet.model import Fleet, Host

#: A log file system above this is a matter of days; above the second, of hours.
_DISK_WARNING_PERCENT = 85
_DISK_CRITICAL_PERCENT = 95
#: Losing one of these costs data or messages at once; the others have a twin on another host.
_ALONE = {"filebeat", "obsctl-consumer", "obsctl-alerter"}


class _Service(NamedTuple):
    """A daemon with a health page: its unit, and the codes for a page that is silent, and for one that is not ok."""

    unit: str
    down: str
    waiting: str


_SERVICES = {
    "consumer": _Service("obsctl-consumer", "HEALTH_CONSUMER_DOWN", "HEALTH_CONSUMER_WAITING"),
    "alerter": _Service("obsctl-alerter", "HEALTH_ALERTER_DOWN", "HEALTH_ALERTER_WAITING"),
}


class _Layer(NamedTuple):
    """One row of the screen.

    Attributes:
        groups: on whose hosts it runs; what happens to one of them happens to the layer.
        needed_by: groups that cannot work without it.
    """

    name: str
    groups: tuple[str, ...]
    needed_by: tuple[str, ...] = ()


#: In the order of a line's way.
_LAYERS = (
    _Layer("vip", ("lb",)),
    _Layer("nginx", ("lb",)),
    _Layer("obs-backend", ("backend",), ("lb",)),
    _Layer("filebeat", ("filebeat",)),
    _Layer("kafka", ("kafka",), ("filebeat", "consumer")),
    _Layer("consumer", ("consumer",)),
    _Layer("alerter", ("consumer",)),
    _Layer("database", ("mysql",), ("consumer",)),
)


def judge_health(fleet: Fleet, snapshot: HealthSnapshot) -> list[Finding]:
    """Return what is wrong, layer by layer in the order of a line's way."""
    findings: list[Finding] = []
    if snapshot.vip is not None:
        findings += judge_vip(fleet, snapshot.vip)
    if snapshot.kafka is not None:
        findings += judge_cluster(fleet, snapshot.kafka)
    for probe in snapshot.hosts:
        findings += judge_host(fleet, probe)
    for backend in snapshot.backends:
        findings += _backend(backend)
    if snapshot.database is not None:
        findings += judge_database(fleet, snapshot.database)
    return [*findings, *_not_asked(fleet, snapshot, findings)]


def _not_asked(fleet: Fleet, snapshot: HealthSnapshot, findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield what nobody has said anything about: missing data is never OK."""
    if not fleet.hosts:
        yield Finding(
            code="HEALTH_LAYER_NOT_ASKED",
            severity=Severity.UNKNOWN,
            object="fleet",
            summary="the inventory names no host, so nothing was checked",
            hint="choose another inventory with --inventory, or put the hosts into their groups",
        )
    told: tuple[Finding | Fault, ...] = (*findings, *snapshot.errors)
    explained = {name for entry in told for name in _layers_of(fleet, entry)}
    for layer in _LAYERS:
        if _expected(fleet, layer) and not _seen(snapshot, layer.name) and layer.name not in explained:
            yield Finding(
                code="HEALTH_LAYER_NOT_ASKED",
                severity=Severity.UNKNOWN,
                object=f"layer/{layer.name}",
                summary=f"nobody was asked: the inventory has hosts that need it, but not what it takes to ask "
                f"{layer.name}",
                hint=f"docs/reference/fleet.md names the fields; the groups are {', '.join(layer.groups)}",
            )


def _expected(fleet: Fleet, layer: _Layer) -> bool:
    return any(fleet.group(group) for group in (*layer.groups, *layer.needed_by))


def _seen(snapshot: HealthSnapshot, layer: str) -> bool:
    """Return whether anybody said anything about the layer."""
    parts = {"vip": snapshot.vip, "kafka": snapshot.kafka, "database": snapshot.database}
    if layer in parts:
        return parts[layer] is not None
    return any(layer in probe.units or layer in probe.services for probe in snapshot.hosts)


def judge_host(fleet: Fleet, probe: HostProbe) -> Iterator[Finding]:
    """Yield what is wrong with a host: itself, its units, its disks, what its health pages say."""
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
        unit = _SERVICES[service].unit
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
    unit, down, waiting = _SERVICES[service]
    if page is None:
        yield Finding(
            code=down,
            severity=Severity.CRITICAL,
            object=f"{unit}/{host}",
            summary="the unit is active, but its health page does not answer",
            hint=f"on {host}: journalctl -u {unit} -n 50; systemctl restart {unit}",
        )
    elif page.get("status") != "ok":
        if _only_replaced(page):
            yield Finding(
                code="HEALTH_CONSUMER_RESTARTED",
                severity=Severity.WARNING,
                object=f"{unit}/{host}",
                summary=f"all its workers run, but not for long: {_reason(page)}",
                evidence={"restarts": [worker.get("restarts") for worker in _workers(page)]},
                hint=f"on {host}: journalctl -u {unit} | grep 'worker'; dmesg, if a worker was killed",
            )
            return
        yield Finding(
            code=waiting,
            severity=Severity.CRITICAL,
            object=f"{unit}/{host}",
            summary=f"says {page.get('status')!r}: {_reason(page)}",
            evidence={key: value for key, value in page.items() if isinstance(value, int | float | str)},
            hint=_advice(page) or f"on {host}: journalctl -u {unit} -n 50",
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


def judge_database(fleet: Fleet, database: DatabaseProbe) -> Iterator[Finding]:
    """Yield what is wrong with the row store."""
    where = f"database/{fleet.database.host}"
    if not database.asked:
        yield Finding(
            code="HEALTH_LAYER_NOT_ASKED",
            severity=Severity.UNKNOWN,
            object="layer/database",
            summary=database.failure,
            hint="check the reader's password reference in the inventory, and that this user may read it",
        )
        return
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
    statuses = _statuses(fleet, snapshot)
    layers = [
        {
            "layer": layer.name,
            "status": worst(statuses.get(layer.name, [])).value,
            "detail": _detail(fleet, snapshot, layer),
        }
        for layer in _LAYERS
        if _expected(fleet, layer) or _seen(snapshot, layer.name)
    ]
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


#: By the beginning of a code.
_LAYER_OF_CODE = {
    "VIP_": "vip",
    "LB_": "vip",
    "KAFKA_": "kafka",
    "HEALTH_CONSUMER_": "consumer",
    "HEALTH_ALERTER_": "alerter",
    "HEALTH_DATABASE_": "database",
    "HEALTH_QUARANTINE_": "database",
    "HEALTH_CATCH_ALL_": "database",
    "HEALTH_BACKEND_": "obs-backend",
}
#: Units that are part of a layer with another name.
_LAYER_OF_UNIT = {"keepalived": "vip"}


def _statuses(fleet: Fleet, snapshot: HealthSnapshot) -> dict[str, list[Status]]:
    """Return the statuses that make each layer's; a layer without data is unknown."""
    statuses = {layer.name: [Status.UNKNOWN] for layer in _LAYERS if not _seen(snapshot, layer.name)}
    for finding in judge_health(fleet, snapshot):
        for layer in _layers_of(fleet, finding):
            statuses.setdefault(layer, []).append(finding.severity.status)
    for fault in snapshot.errors:
        for layer in _layers_of(fleet, fault):
            statuses.setdefault(layer, []).append(Status.UNKNOWN)
    return statuses


def _layers_of(fleet: Fleet, entry: Finding | Fault) -> tuple[str, ...]:
    """Return the layers that a finding or a fault is about: a host's trouble is that of all that runs there."""
    for prefix, layer in _LAYER_OF_CODE.items():
        if entry.code.startswith(prefix):
            return (layer,)
    kind, _, name = entry.object.partition("/")
    if kind == "host":
        groups = _runs(fleet.host(name))
        return tuple(layer.name for layer in _LAYERS if not set(layer.groups).isdisjoint(groups))
    return (name,) if kind == "layer" else (_LAYER_OF_UNIT.get(kind, kind),)


def _detail(fleet: Fleet, snapshot: HealthSnapshot, layer: _Layer) -> str:
    if not _seen(snapshot, layer.name):
        return "no answer"
    if layer.name == "vip" and snapshot.vip is not None:
        holders = [node.name for node in snapshot.vip.nodes if node.holds_vip]
        return f"{snapshot.vip.vip} on {', '.join(holders) or 'no node'}"
    if layer.name == "kafka" and snapshot.kafka is not None:
        return _kafka_detail(snapshot.kafka)
    if layer.name == "database" and snapshot.database is not None:
        return _database_detail(snapshot.database)
    if layer.name in _SERVICES:
        page = next((page for probe in snapshot.hosts if (page := probe.services.get(layer.name)) is not None), None)
        return _page_detail(page, _consumer_lag(fleet, snapshot.kafka))
    states = [probe.units.get(layer.name) for probe in snapshot.hosts]
    total = {host.name for group in layer.groups for host in fleet.group(group)}
    return f"{states.count('active')} of {len(total)} running"


def _kafka_detail(kafka: KafkaSnapshot) -> str:
    answered = sum(broker.answered for broker in kafka.brokers)
    short = sum(len(p.isr) < len(p.replicas) for p in kafka.partitions)
    return f"{answered} of {len(kafka.brokers)} brokers, {len(kafka.partitions)} partitions, {short} under-replicated"


def _consumer_lag(fleet: Fleet, kafka: KafkaSnapshot | None) -> str:
    """The lag as Kafka knows it: a consumer without a place in its group reads nothing and calls its own lag 0."""
    groups = kafka.groups if kafka is not None else ()
    group = next((group for group in groups if group.name == fleet.consumer.group), None)
    lag = group_lag(group, kafka.partitions) if group and kafka else None
    return "unknown" if lag is None else str(lag)


def _page_detail(page: dict[str, Any] | None, consumer_lag: str) -> str:
    """The numbers of a health page: whether something waits, and how old the newest line is."""
    if page is None:
        return "no answer"
    if "lines" in page:
        lines = _mapping(page["lines"])
        return (
            f"{lines.get('stored')} stored, {lines.get('quarantined')} quarantined since its start, "
            f"lag {consumer_lag}, newest event {page.get('newest_event') or '-'} UTC"
        )
    return f"{page.get('firing')} firing, {page.get('waiting')} messages waiting, lag {page.get('lag')}"


def _reason(page: dict[str, Any]) -> str:
    troubles = _mapping(page.get("troubles"))
    said = [f"{name}: {_mapping(trouble).get('message')}" for name, trouble in troubles.items()]
    return "; ".join(said) or str(page.get("reason") or "no reason given")


def _advice(page: dict[str, Any]) -> str:
    """The service's own hints, each once: it knows its troubles best."""
    hints = [str(_mapping(trouble).get("hint") or "") for trouble in _mapping(page.get("troubles")).values()]
    return "; ".join(dict.fromkeys(hint for hint in hints if hint))


def _only_replaced(page: dict[str, Any]) -> bool:
    """Return whether a worker that was replaced, and works again, is all that a consumer has to tell."""
    troubles = _mapping(page.get("troubles"))
    workers = _workers(page)
    return (
        bool(troubles and workers)
        and all(str(subject).startswith("worker ") for subject in troubles)
        and all(worker.get("state") == "running" for worker in workers)
    )


def _workers(page: dict[str, Any]) -> list[dict[str, Any]]:
    workers = page.get("workers")
    return [_mapping(worker) for worker in workers] if isinstance(workers, list) else []


def _mapping(value: Any) -> dict[str, Any]:
    """Return a part of a page that should be a mapping; another program's page may have any shape."""
    return value if isinstance(value, dict) else {}


def _database_detail(database: DatabaseProbe) -> str:
    if database.failure:
        return database.failure
    behind = "empty" if database.behind_s is None else f"last row stored {database.behind_s} s ago"
    return f"{database.version}, {behind}, {database.quarantined_last_day or 0} quarantined in 24 h"
