"""All layers judged together: the VIP and the cluster by their own checks, the rest here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from obsctl.checks.health.snapshot import (
    AlerterPage,
    BackendProbe,
    DatabaseProbe,
    HealthSnapshot,
    HostProbe,
    NoPage,
    Page,
)
from obsctl.checks.kafka.judge import group_lag, judge_cluster
from obsctl.checks.kafka.snapshot import KafkaSnapshot
from obsctl.checks.vip.judge import judge_vip
from obsctl.core.consumer_page import ConsumerPage
from obsctl.core.report import Fault, Finding, Severity, Status, worst
from obsctl.fleet.model import Fleet, Host

#: A log file system above this is a matter of days; above the second, of hours.
_DISK_WARNING_PERCENT = 85
_DISK_CRITICAL_PERCENT = 95
_QUARANTINE_QUESTION = "SELECT reason, COUNT(*), MIN(detail) FROM quarantine GROUP BY reason"
#: Losing one of these delays lines or messages at once; the others are redundant.
_SINGLE_UNITS = {"filebeat", "obsctl-consumer", "obsctl-alerter"}


class _Service(NamedTuple):
    """A daemon with a health page: its unit, and the codes for a page that cannot be had and for one that is not ok."""

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
    findings += _alerters(snapshot)
    for backend in snapshot.backends:
        findings += _backend(backend)
    if snapshot.database is not None:
        findings += judge_database(fleet, snapshot.database)
    return [*findings, *_not_asked(fleet, snapshot, findings)]


def _not_asked(fleet: Fleet, snapshot: HealthSnapshot, findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield the layers about which nothing is known: missing data is never OK."""
    groups = {group: None for layer in _LAYERS for group in layer.groups}
    if not any(map(fleet.group, groups)):
        yield Finding(
            code="HEALTH_LAYER_NOT_ASKED",
            severity=Severity.UNKNOWN,
            object="fleet",
            summary="the inventory names no host, so nothing was checked"
            if not fleet.hosts
            else f"no host is in one of the groups {', '.join(groups)}, so no layer was checked",
            hint="choose another inventory with --inventory, or put the hosts into their groups",
        )
    entries: tuple[Finding | Fault, ...] = (*findings, *snapshot.errors)
    explained = {name for entry in entries for name in _layers_of(fleet, entry)}
    for layer in _LAYERS:
        if _expected(fleet, layer) and not _seen(snapshot, layer.name) and layer.name not in explained:
            yield Finding(
                code="HEALTH_LAYER_NOT_ASKED",
                severity=Severity.UNKNOWN,
                object=f"layer/{layer.name}",
                summary=f"not checked: the inventory lacks the settings needed to reach {layer.name}",
                hint=f"{fleet.playbook('preflight')} names what is missing; "
                f"docs/reference/fleet.md lists the settings, and its hosts belong to the group {layer.groups[0]}",
            )


def _expected(fleet: Fleet, layer: _Layer) -> bool:
    return any(fleet.group(group) for group in (*layer.groups, *layer.needed_by))


def _seen(snapshot: HealthSnapshot, layer: str) -> bool:
    """Return whether there is any answer about the layer."""
    parts = {"vip": snapshot.vip, "kafka": snapshot.kafka, "database": snapshot.database}
    if layer in parts:
        return parts[layer] is not None
    return any(layer in probe.units or layer in probe.pages for probe in snapshot.hosts)


def judge_host(fleet: Fleet, probe: HostProbe) -> Iterator[Finding]:
    """Yield what is wrong with a host: itself, its units, its disks, what its health pages say."""
    host = fleet.host(probe.name)
    if not probe.answered:
        runs = ", ".join(_runs(host))
        single = host is not None and any(len(fleet.group(group)) == 1 for group in host.groups)
        yield Finding(
            code="HEALTH_HOST_DOWN",
            severity=Severity.CRITICAL if single else Severity.WARNING,
            object=f"host/{probe.name}",
            summary=f"does not answer over ssh ({probe.failure}){f'; it runs {runs}' * bool(runs)}",
            hint=f"{fleet.login_hint(host)}; if nothing answers there: ping {host.address}, then look at its console"
            if host
            else f"ping {probe.name}; if nothing answers, look at its console",
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
    for service, page in probe.pages.items():
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
    single = unit in _SINGLE_UNITS or code == "HEALTH_DATABASE_DOWN"
    return Finding(
        code=code,
        severity=Severity.CRITICAL if single else Severity.WARNING,
        object=f"{unit}/{host}",
        summary=f"the unit is {state}, not active",
        evidence={"state": state},
        hint=f"on {host}: systemctl status {unit}; journalctl -u {unit} -n 50",
    )


def _service(host: str, service: str, page: Page) -> Iterator[Finding]:
    unit, down, waiting = _SERVICES[service]
    if isinstance(page, NoPage):
        yield Finding(
            code=down,
            severity=Severity.CRITICAL,
            object=f"{unit}/{host}",
            summary=f"the unit is active, but its health page {page.why}",
            hint=f"on {host}: journalctl -u {unit} -n 50; systemctl restart {unit}",
        )
    elif isinstance(page, ConsumerPage) and _only_replaced(page):
        yield Finding(
            code="HEALTH_CONSUMER_RESTARTED",
            severity=Severity.WARNING,
            object=f"{unit}/{host}",
            summary=f"a worker process was replaced within the last minute, all run again: {_reason(page)}",
            evidence={"restarts": [worker.restarts for worker in page.workers]},
            hint=f"on {host}: journalctl -u {unit} -n 200 | grep worker; dmesg, if the kernel killed it",
        )
    elif page.status != "ok":
        yield Finding(
            code=waiting,
            severity=Severity.CRITICAL,
            object=f"{unit}/{host}",
            summary=f"reports {repr(page.status) if page.status else 'no status'}: {_reason(page)}",
            evidence={
                key: value
                for key, value in msgspec.structs.asdict(page).items()
                if isinstance(value, int | float | str) and value != ""
            },
            hint=_advice(host, page),
        )


def _alerters(snapshot: HealthSnapshot) -> Iterator[Finding]:
    """Yield that no alerter works, where all that were asked stand by."""
    pages = {probe.name: probe.alerter for probe in snapshot.hosts if probe.alerter is not None}
    if pages and all(page.role == "standby" for page in pages.values()):
        names = sorted(pages)
        yield Finding(
            code="HEALTH_ALERTER_WAITING",
            severity=Severity.CRITICAL,
            object="obsctl-alerter",
            summary=f"no alerter is active: {', '.join(names)} {'stand' if len(names) > 1 else 'stands'} by",
            evidence={"standby": names},
            hint="one takes over within 30 s; if none does: obsctl kafka status, and on one of these hosts "
            "journalctl -u obsctl-alerter -n 50",
        )


def _backend(backend: BackendProbe) -> Iterator[Finding]:
    if backend.status != 200:
        answer = "does not answer" if backend.status is None else f"answers {backend.status}"
        yield Finding(
            code="HEALTH_BACKEND_DOWN",
            severity=Severity.WARNING,
            object=f"backend/{backend.name}",
            summary=f"/healthz {answer}",
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
            summary=f"not checked: {database.failure}",
            hint="mysql_reader_password in the inventory refers to the reading user's password: does what it names "
            "exist, and may you read it?",
        )
        return
    if database.failure:
        yield Finding(
            code="HEALTH_DATABASE_DOWN",
            severity=Severity.CRITICAL,
            object=where,
            summary=database.failure,
            hint=database.hint
            or f"on the database's host: systemctl status {fleet.database.service or 'mysqld'}; from here: "
            f"nc -vz {fleet.database.host} {fleet.database.port}",
        )
        return
    if database.quarantined_last_day:
        yield Finding(
            code="HEALTH_QUARANTINE",
            severity=Severity.INFO,
            object=where,
            summary=f"{database.quarantined_last_day} lines went to quarantine in the last 24 hours",
            evidence={"lines": database.quarantined_last_day},
            hint=f"on the database's host: mysql {fleet.database.name} -e '{_QUARANTINE_QUESTION}'",
        )
    if database.catch_all_rows:
        yield Finding(
            code="HEALTH_CATCH_ALL_PARTITION",
            severity=Severity.WARNING,
            object=where,
            summary=f"about {database.catch_all_rows} rows are in p_max, the catch-all partition for days that have no "
            "partition of their own",
            evidence={"rows": database.catch_all_rows},
            hint="a host's clock is ahead, or the consumer could not add partitions: on its host, journalctl -u "
            "obsctl-consumer | grep upkeep",
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
    """Return the layers that a finding or a fault is about: a host's fault is that of all that runs there."""
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
        pages = (probe.pages.get(layer.name) for probe in snapshot.hosts)
        answered = next((page for page in pages if page is not None and not isinstance(page, NoPage)), None)
        return _page_detail(answered, _consumer_lag(fleet, snapshot.kafka))
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


def _page_detail(page: Page | None, consumer_lag: str) -> str:
    """The numbers of a health page: whether something waits, and how old the newest line is."""
    if isinstance(page, ConsumerPage):
        return (
            f"{page.lines.stored} stored, {page.lines.quarantined} quarantined since its start, "
            f"lag {consumer_lag}, newest event {page.newest_event or '-'} UTC"
        )
    if isinstance(page, AlerterPage):
        return f"{page.firing} firing, {page.waiting} messages waiting, lag {page.lag}"
    return "no answer"


def _reason(page: ConsumerPage | AlerterPage) -> str:
    if isinstance(page, AlerterPage):
        return page.reason or "no reason given"
    return "; ".join(f"{name}: {trouble.message}" for name, trouble in page.troubles.items()) or "no reason given"


def _advice(host: str, page: ConsumerPage | AlerterPage) -> str:
    """The service's own hints, each once: it knows its troubles best."""
    if isinstance(page, AlerterPage):
        return (
            f"on {host}: journalctl -u obsctl-alerter -n 50; if a channel fails: obsctl alert test, and after the fix "
            f"on {host}: systemctl restart obsctl-alerter, which sends at once"
        )
    hints = dict.fromkeys(trouble.hint for trouble in page.troubles.values() if trouble.hint)
    return "; ".join(hints) or f"on {host}: journalctl -u obsctl-consumer -n 50"


def _only_replaced(page: ConsumerPage) -> bool:
    """Return whether the only trouble of a consumer is a worker that was replaced and works again."""
    return (
        bool(page.troubles and page.workers)
        and all(subject.startswith("worker ") for subject in page.troubles)
        and all(worker.state == "running" for worker in page.workers)
    )


def _database_detail(database: DatabaseProbe) -> str:
    if database.failure:
        return database.failure
    behind = "empty" if database.behind_s is None else f"last row stored {database.behind_s} s ago"
    return f"{database.version}, {behind}, {database.quarantined_last_day or 0} quarantined in 24 h"
