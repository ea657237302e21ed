"""Every layer's fault has its own finding, and a dead host costs its own row only."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.unit.checks.fleet_answers import unreached
from tests.unit.render.snapshots import ONE_HOLDER, WHOLE_CLUSTER

from obsctl.alerter.health import Health, Role
from obsctl.checks.consumer.loss import StoredLoss
from obsctl.checks.health.collect import read_host, units_of
from obsctl.checks.health.judge import describe_health, judge_health, judge_host
from obsctl.checks.health.rules import disks as host_disks
from obsctl.checks.health.snapshot import (
    AlerterPage,
    BackendProbe,
    DatabaseProbe,
    Disk,
    HealthSnapshot,
    HostProbe,
    NoPage,
)
from obsctl.checks.kafka.rules import disks
from obsctl.checks.kafka.snapshot import Group, LogDir
from obsctl.checks.logs.snapshot import Events, HostLogs, LogsSnapshot, Sample, Unit
from obsctl.core.acknowledgement import made
from obsctl.core.consumer_page import ConsumerPage, LineCounts, Note, WorkerOnPage
from obsctl.core.report import Fault, Severity
from obsctl.fleet.model import ConsoleNode, Database, Fleet, Host, Ssh

FLEET = Fleet(
    hosts=(
        Host(name="node1", address="192.0.2.1", groups=("lb", "backend", "kafka", "filebeat")),
        Host(name="node2", address="192.0.2.2", groups=("lb", "backend", "kafka", "filebeat")),
        Host(name="db1", address="192.0.2.3", groups=("mysql",)),
        Host(name="app1", address="192.0.2.4", groups=("consumer",)),
    ),
    database=Database(host="192.0.2.3", service="mariadb"),
)


def _codes(**parts: Any) -> dict[str, Severity]:
    seen = msgspec.structs.replace(WELL, **parts)
    return {finding.code: finding.severity for finding in judge_health(FLEET, seen)}


def _layers(**parts: Any) -> dict[str, str]:
    data = describe_health(FLEET, msgspec.structs.replace(WELL, **parts))
    return {row["layer"]: row["status"] for row in data["layers"]}


def _host(name: str = "app1", **parts: Any) -> HostProbe:
    return HostProbe(name=name, **parts)


def _units(host: Host) -> dict[str, str]:
    return dict.fromkeys(units_of(FLEET, host), "active")


_PAGES: dict[str, Any] = {
    "consumer": ConsumerPage(status="ok", lines=LineCounts(stored=5, quarantined=0)),
    "alerter": AlerterPage(status="ok", firing=0, waiting=0, lag=0),
}
WELL = HealthSnapshot(
    vip=ONE_HOLDER,
    kafka=WHOLE_CLUSTER,
    hosts=tuple(_host(h.name, units=_units(h), **(_PAGES if h.name == "app1" else {})) for h in FLEET.hosts),
    backends=(BackendProbe(name="node1", status=200, took_ms=2),),
    database=DatabaseProbe(version="10.11", behind_s=1),
)


def _but(name: str, **parts: Any) -> tuple[HostProbe, ...]:
    """Return the well hosts with another answer of one of them."""
    return tuple(_host(name, **parts) if probe.name == name else probe for probe in WELL.hosts)


def _dead(name: str) -> dict[str, Any]:
    """Return the parts in which a host answers nothing at all."""
    brokers = (
        msgspec.structs.replace(b, failure="no route to host") if b.host == name else b for b in WHOLE_CLUSTER.brokers
    )
    return {
        "hosts": _but(name, **unreached(name, "No route to host")),
        "backends": tuple(backend for backend in WELL.backends if backend.name != name),
        "kafka": msgspec.structs.replace(WHOLE_CLUSTER, brokers=tuple(brokers)),
        "database": WELL.database if name != "db1" else DatabaseProbe(failure="no answer within 6 s"),
    }


def test_a_healthy_fleet_has_no_findings() -> None:
    assert _codes() == {}
    assert set(_layers().values()) == {"ok"}


@pytest.mark.parametrize(
    ("host", "unit", "code", "severity"),
    [
        ("node1", "nginx", "HEALTH_SERVICE_DOWN", Severity.WARNING),
        ("node1", "filebeat", "HEALTH_SERVICE_DOWN", Severity.CRITICAL),
        ("db1", "mariadb", "HEALTH_DATABASE_DOWN", Severity.CRITICAL),
        ("app1", "obsctl-consumer", "HEALTH_CONSUMER_DOWN", Severity.CRITICAL),
        ("app1", "obsctl-alerter", "HEALTH_ALERTER_DOWN", Severity.CRITICAL),
    ],
)
@pytest.mark.parametrize("state", ["inactive", "failed", "activating", "unknown"])
def test_a_unit_that_is_not_active(host: str, unit: str, code: str, severity: Severity, state: str) -> None:
    units = _units(next(h for h in FLEET.hosts if h.name == host)) | {unit: state}
    assert _codes(hosts=_but(host, units=units, **(_PAGES if host == "app1" else {}))) == {code: severity}


def test_a_shipper_that_runs_and_ships_nothing_is_not_well() -> None:
    frozen = Sample(filebeat=Unit(pid=7, state="T"), newest_line=1.0)
    ships = Sample(filebeat=Unit(pid=7, state="S"), events=Events())
    logs = LogsSnapshot(hosts=(HostLogs(name="node1", first=frozen), HostLogs(name="node2", first=ships)))
    assert _codes(logs=logs) == {"LOGS_SHIPPER_SILENT": Severity.CRITICAL}
    assert _layers(logs=logs)["filebeat"] == "critical"
    data = describe_health(FLEET, msgspec.structs.replace(WELL, logs=logs))
    (detail,) = (row["detail"] for row in data["layers"] if row["layer"] == "filebeat")
    assert detail.startswith("1 of 2 ship")


def test_the_newest_row_is_one_of_traffic() -> None:
    def detail(**parts: Any) -> str:
        seen = msgspec.structs.replace(WELL, database=DatabaseProbe(version="10.11", behind_s=0, **parts))
        return str(describe_health(FLEET, seen)["layers"][-1]["detail"])

    assert "newest traffic row 4 s old (node2)" in detail(traffic_s=4, traffic_host="node2")
    assert "no traffic lately" in detail()


def test_a_dead_host_is_critical_only_where_it_stands_alone() -> None:
    assert _codes(**_dead("node1"))["HEALTH_HOST_DOWN"] is Severity.WARNING
    assert _codes(**_dead("db1"))["HEALTH_HOST_DOWN"] is Severity.CRITICAL


@pytest.mark.parametrize(
    ("service", "code"), [("consumer", "HEALTH_CONSUMER_DOWN"), ("alerter", "HEALTH_ALERTER_DOWN")]
)
@pytest.mark.parametrize("why", ["does not answer", "is unreadable (Expected `object`)"])
def test_an_active_unit_without_a_page_is_down(service: str, code: str, why: str) -> None:
    hosts = _but("app1", units=_units(FLEET.hosts[3]), **_PAGES | {service: None}, no_page={service: why})
    assert _codes(hosts=hosts) == {code: Severity.CRITICAL}
    assert _layers(hosts=hosts)[service] == "critical"
    (finding,) = judge_health(FLEET, msgspec.structs.replace(WELL, hosts=hosts))
    assert finding.summary == f"the unit is active, but its health page {why}"


def test_a_consumer_that_waits_says_why_and_what_to_do() -> None:
    page = ConsumerPage(status="waiting", fenced=3, troubles={"database": Note("it is away", "start it")})
    hosts = _but("app1", units=_units(FLEET.hosts[3]), **_PAGES | {"consumer": page})
    (finding,) = judge_health(FLEET, msgspec.structs.replace(WELL, hosts=hosts))
    assert (finding.code, finding.hint) == ("HEALTH_CONSUMER_WAITING", "start it")
    assert finding.summary == "reports 'waiting': database: it is away"
    assert finding.evidence == {"status": "waiting", "fenced": 3, "troubles": ["database"]}
    assert _layers(hosts=hosts)["database"] == "critical", "it answers those who read, and takes no rows"


def test_an_alerter_that_waits_says_why() -> None:
    page = AlerterPage(status="degraded", reason="channel hook: refused", waiting=2)
    hosts = _but("app1", units=_units(FLEET.hosts[3]), **_PAGES | {"alerter": page})
    (finding,) = judge_health(FLEET, msgspec.structs.replace(WELL, hosts=hosts))
    assert finding.code == "HEALTH_ALERTER_WAITING"
    assert finding.summary == "reports 'degraded': channel hook: refused"


def test_of_alerters_that_all_stand_by_none_works() -> None:
    page = AlerterPage(role="standby", status="ok")
    hosts = _but("app1", units=_units(FLEET.hosts[3]), **_PAGES | {"alerter": page})
    (finding,) = judge_health(FLEET, msgspec.structs.replace(WELL, hosts=hosts))
    assert (finding.code, finding.severity) == ("HEALTH_ALERTER_WAITING", Severity.CRITICAL)
    assert finding.summary == "no alerter is active: app1 stands by"


@pytest.mark.parametrize("service", ["consumer", "alerter"])
def test_a_page_that_says_little_is_not_ok_and_breaks_nothing(service: str) -> None:
    """As one of a release that names its status otherwise."""
    page = read_host("app1", f'page {service} {{"mood": "well"}}').pages[service]
    hosts = _but("app1", units=_units(FLEET.hosts[3]), **_PAGES | {service: page})
    (finding,) = judge_health(FLEET, msgspec.structs.replace(WELL, hosts=hosts))
    assert (finding.severity, finding.summary) == (Severity.CRITICAL, "reports no status: no reason given")
    assert describe_health(FLEET, msgspec.structs.replace(WELL, hosts=hosts))["layers"]


@pytest.mark.parametrize(
    ("states", "others", "code", "severity"),
    [
        (("running", "running"), {}, "HEALTH_CONSUMER_RESTARTED", Severity.WARNING),
        (("running", "restarting"), {}, "HEALTH_CONSUMER_WAITING", Severity.CRITICAL),
        (("running", "silent"), {}, "HEALTH_CONSUMER_WAITING", Severity.CRITICAL),
        (("running", "running"), {"kafka": Note("away")}, "HEALTH_CONSUMER_WAITING", Severity.CRITICAL),
    ],
)
def test_a_worker_that_was_replaced_and_works_again_is_a_warning(
    states: tuple[str, ...], others: dict[str, Note], code: str, severity: Severity
) -> None:
    page = ConsumerPage(
        status="waiting",
        troubles={"worker 1": Note("its process ended and was replaced: signal SIGKILL")} | others,
        workers=tuple(WorkerOnPage(worker=n, state=state, restarts=n) for n, state in enumerate(states)),
    )
    hosts = _but("app1", units=_units(FLEET.hosts[3]), **_PAGES | {"consumer": page})
    (finding,) = judge_health(FLEET, msgspec.structs.replace(WELL, hosts=hosts))
    assert (finding.code, finding.severity) == (code, severity)
    assert "signal SIGKILL" in finding.summary


@pytest.mark.parametrize(
    ("free", "severity"),
    [(150, None), (149, Severity.WARNING), (50, Severity.WARNING), (49, Severity.CRITICAL), (0, Severity.CRITICAL)],
)
def test_a_full_disk_is_the_trouble_of_its_host_and_of_no_layer_that_works(
    free: int, severity: Severity | None
) -> None:
    disks = (Disk(mount="/", free_bytes=free * 2**30, total_bytes=1000 * 2**30),)
    hosts = _but("node1", units=_units(FLEET.hosts[0]), disks=disks)
    assert _codes(hosts=hosts).get("HEALTH_DISK_FULL") == severity
    layers = _layers(hosts=hosts)
    assert layers.pop("hosts") == (severity.value if severity else "ok")
    assert set(layers.values()) == {"ok"}


def test_a_disk_and_a_broker_of_it_are_judged_by_the_same_number() -> None:
    """Two thresholds for one disk would be two verdicts."""
    assert (host_disks.DISK_WARNING, host_disks.DISK_CRITICAL) == (disks.DISK_WARNING, disks.DISK_CRITICAL)
    assert Disk(mount="/", free_bytes=29, total_bytes=100).free_share == disks.free_share(
        LogDir(path="/d", total_bytes=100, usable_bytes=29)
    )


@pytest.mark.parametrize("status", [None, 500])
def test_a_back_end_that_is_not_well(status: int | None) -> None:
    probe = BackendProbe(name="node2", status=status, took_ms=1)
    assert _codes(backends=(probe,)) == {"HEALTH_BACKEND_DOWN": Severity.WARNING}


@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        (DatabaseProbe(version="10.11", behind_s=1, quarantined_last_day=0, catch_all_rows=0), {}),
        (DatabaseProbe(failure="refused"), {"HEALTH_DATABASE_DOWN": Severity.CRITICAL}),
        (DatabaseProbe(failure="expired", untrusted=True), {"HEALTH_DATABASE_TLS": Severity.CRITICAL}),
        (DatabaseProbe(asked=False, failure="no password"), {"HEALTH_LAYER_NOT_ASKED": Severity.UNKNOWN}),
        (DatabaseProbe(quarantined_last_day=3), {"HEALTH_QUARANTINE": Severity.INFO}),
        (DatabaseProbe(catch_all_rows=3), {"HEALTH_CATCH_ALL_PARTITION": Severity.WARNING}),
    ],
)
def test_the_database(probe: DatabaseProbe, expected: dict[str, Severity]) -> None:
    assert _codes(database=probe) == expected


def test_a_loss_stays_a_warning_until_a_person_takes_note() -> None:
    """Also when the consumer has long gone on, and all else is well."""
    loss = StoredLoss(topic="nginxlog", partition=0, lost=1427, at="2026-01-01T00:00:00Z")
    database = DatabaseProbe(version="1", behind_s=1, losses=(loss,))
    assert _codes(database=database) == {"CONSUMER_RECORDS_LOST": Severity.WARNING}
    assert _layers(database=database)["consumer"] == "warning"
    (finding,) = judge_health(FLEET, msgspec.structs.replace(WELL, database=database))
    taken = made(finding, author="ann", reason="db1 was down", now=0.0)
    assert _codes(database=database, acknowledged=(taken,)) == {"CONSUMER_RECORDS_LOST": Severity.INFO}


def test_a_loss_is_named_while_the_consumer_is_still_down() -> None:
    first, *others = WHOLE_CLUSTER.partitions
    kafka = msgspec.structs.replace(WHOLE_CLUSTER, partitions=(msgspec.structs.replace(first, start=33_950), *others))
    assert _codes(kafka=kafka)["KAFKA_UNREAD_EXPIRED"] is Severity.WARNING
    assert "KAFKA_UNREAD_EXPIRED" not in _codes(kafka=WHOLE_CLUSTER)


def test_what_a_host_prints_is_read() -> None:
    probe = read_host(
        "app1",
        "unit obsctl-consumer active\nunit nginx \nnoise\ndisk 1024 2048 /var/log with blank\ndisk x y\ndisk 1 y z\n"
        "process obsctl-consumer T Sat 2026-11-28 12:55:54 UTC\nprocess nginx - \nprocess keepalived S n/a\nprocess x\n"
        "asked filebeat 5066 28\nasked obs-backend 8080 7\nasked x\n"
        'page consumer {"status": "ok", "mood": 7}\npage alerter \n',
    )
    assert probe.units == {"obsctl-consumer": "active", "nginx": "unknown"}
    assert probe.disks == (Disk(mount="/var/log with blank", free_bytes=2**20, total_bytes=2**21),)
    assert probe.processes == {"obsctl-consumer": "T", "nginx": "", "keepalived": "S"}
    assert probe.since == {"obsctl-consumer": "2026-11-28T12:55:54+00:00"}
    assert probe.silent == {"filebeat": 5066}
    assert probe.pages == {"consumer": ConsumerPage(status="ok"), "alerter": NoPage("does not answer")}
    probe = read_host("app1", 'page consumer curl: (7)\npage alerter {"status": "ok", "lag": 3, "channels": []}\n')
    assert probe.alerter == AlerterPage(status="ok", lag=3)
    assert probe.consumer is None
    assert probe.no_page["consumer"].startswith("is unreadable (")


def test_what_the_alerter_writes_is_what_is_read_of_it() -> None:
    written = Health(
        role=Role.ACTIVE, status="degraded", reason="a channel waits", lag=5,
        behind_s=1.5, last_event_at="2026-01-01T00:00:00Z",
        counted=9, firing=1, waiting=2, skipped={}, evicted={}, alerts=(), suppressed={},
        channels=(), cluster="", topics={},
    )  # fmt: skip
    page = read_host("app1", f"page alerter {msgspec.json.encode(written).decode()}").alerter
    assert page == AlerterPage(
        role="active", status="degraded", reason="a channel waits", lag=5,
        behind_s=1.5, last_event_at="2026-01-01T00:00:00Z",
        counted=9, firing=1, waiting=2,
    )  # fmt: skip


def test_each_group_brings_its_units() -> None:
    assert units_of(FLEET, FLEET.hosts[0]) == ("nginx", "keepalived", "obs-backend", "kafka", "filebeat")
    assert units_of(FLEET, FLEET.hosts[2]) == ("mariadb",)


def test_the_layers_carry_the_worst_of_their_findings() -> None:
    hosts = _but("node1", units=_units(FLEET.hosts[0]) | {"nginx": "failed", "keepalived": "inactive"})
    layers = _layers(hosts=hosts, database=DatabaseProbe(failure="connection refused"))
    assert (layers["nginx"], layers["vip"], layers["database"]) == ("warning", "warning", "critical")
    assert layers["filebeat"] == "ok"


def test_a_dead_host_is_the_trouble_of_all_that_runs_there() -> None:
    layers = _layers(**_dead("app1"))
    assert (layers["consumer"], layers["alerter"], layers["nginx"]) == ("critical", "critical", "ok")
    layers = _layers(**_dead("node1"))
    assert layers.pop("kafka") == "critical", "by its own findings"
    assert [name for name, status in layers.items() if status == "warning"] == [
        "hosts", "vip", "nginx", "obs-backend", "filebeat",
    ]  # fmt: skip


def test_a_host_is_critical_only_for_the_layers_that_have_no_other() -> None:
    db1 = msgspec.structs.replace(FLEET.hosts[2], groups=("mysql", "filebeat"))
    fleet = msgspec.structs.replace(FLEET, hosts=(*FLEET.hosts[:2], db1, FLEET.hosts[3]))
    rows = describe_health(fleet, msgspec.structs.replace(WELL, **_dead("db1")))["layers"]
    layers = {row["layer"]: row["status"] for row in rows}
    assert (layers["database"], layers["filebeat"], layers["nginx"]) == ("critical", "warning", "ok")


@pytest.mark.parametrize("layer", ["vip", "kafka", "database"])
def test_a_layer_that_nobody_was_asked_about_is_unknown(layer: str) -> None:
    (finding,) = judge_health(FLEET, msgspec.structs.replace(WELL, **{layer: None}))
    assert (finding.code, finding.object) == ("HEALTH_LAYER_NOT_ASKED", f"layer/{layer}")
    assert finding.severity is Severity.UNKNOWN
    assert _layers(**{layer: None})[layer] == "unknown"


def test_a_question_that_broke_off_is_told_once() -> None:
    fault = Fault(code="HEALTH_LAYER_NOT_ASKED", object="layer/kafka", summary="the question broke off: x")
    assert _codes(kafka=None, errors=(fault,)) == {}
    assert _layers(kafka=None, errors=(fault,))["kafka"] == "unknown"


def test_what_a_part_could_not_find_out_counts_for_its_layer() -> None:
    fault = Fault(code="KAFKA_ANSWER_CUT", object="broker/1", summary="x")
    assert _layers(errors=(fault,))["kafka"] == "unknown"


def test_an_empty_inventory_is_not_ok() -> None:
    (finding,) = judge_health(Fleet(), HealthSnapshot())
    assert (finding.code, finding.severity) == ("HEALTH_LAYER_NOT_ASKED", Severity.UNKNOWN)


def test_hosts_in_no_group_of_the_fleet_are_not_ok() -> None:
    """A mistyped group's name: the host answers, and no layer has anything to ask."""
    fleet = Fleet(hosts=(Host(name="node1", address="192.0.2.1", groups=("loadbalancers",)),))
    (finding,) = judge_health(fleet, HealthSnapshot(hosts=(_host("node1", units={}),)))
    assert (finding.code, finding.severity) == ("HEALTH_LAYER_NOT_ASKED", Severity.UNKNOWN)
    assert "lb, backend, filebeat, kafka, consumer, mysql" in finding.summary


@pytest.mark.parametrize("group", ["filebeats", "file_beat", "Filebeat"])
def test_a_group_that_is_nearly_one_of_ours_is_named(group: str) -> None:
    """The layer would be left out silently: there is nothing to ask."""
    hosts = tuple(
        msgspec.structs.replace(host, groups=tuple(name for name in host.groups if name != "filebeat"))
        for host in FLEET.hosts
    )
    fleet = msgspec.structs.replace(FLEET, hosts=hosts, foreign_groups=("monitoring", group))
    found = [finding for finding in judge_health(fleet, WELL) if finding.object.startswith("group/")]
    assert [(finding.object, finding.severity) for finding in found] == [("group/filebeat", Severity.UNKNOWN)]
    assert group in found[0].summary
    assert "did you mean filebeat?" in found[0].hint
    known = msgspec.structs.replace(FLEET, foreign_groups=("filebeats", "monitoring"))
    assert not [finding for finding in judge_health(known, WELL) if finding.object.startswith("group/")]


def test_a_missing_vip_is_named_by_its_variable() -> None:
    (finding,) = judge_health(FLEET, msgspec.structs.replace(WELL, vip=None))
    assert "fleet_vip" in finding.summary


def test_a_consumer_needs_more_than_itself() -> None:
    fleet = Fleet(hosts=(Host(name="app1", address="192.0.2.4", groups=("consumer",)),))
    seen = HealthSnapshot(hosts=(_host("app1", units=_units(fleet.hosts[0]), **_PAGES),))
    assert [finding.object for finding in judge_health(fleet, seen)] == ["layer/kafka", "layer/database"]


@pytest.mark.parametrize(
    ("groups", "lag"), [(WHOLE_CLUSTER.groups, "lag 300"), ((), "lag unknown")], ids=["member", "without a place"]
)
def test_the_consumers_lag_is_what_kafka_knows(groups: tuple[Group, ...], lag: str) -> None:
    kafka = msgspec.structs.replace(WHOLE_CLUSTER, groups=groups)
    rows = describe_health(FLEET, msgspec.structs.replace(WELL, kafka=kafka))["layers"]
    assert lag in next(row["detail"] for row in rows if row["layer"] == "consumer")


def test_a_snapshot_survives_json() -> None:
    """As --save-snapshot writes it, and --from-file reads it."""
    hosts = (*WELL.hosts, _host("app2", units={"obsctl-consumer": "active"}, no_page={"consumer": "does not answer"}))
    seen = msgspec.structs.replace(WELL, hosts=hosts)
    assert msgspec.json.decode(msgspec.json.encode(seen), type=HealthSnapshot) == seen


def test_a_host_that_does_not_answer_is_looked_for_as_this_program_asks_it() -> None:
    host = msgspec.structs.replace(FLEET.hosts[3], ssh=Ssh(user="ops", port=2222, common_args="-o ProxyJump=bastion"))
    fleet = msgspec.structs.replace(FLEET, hosts=(*FLEET.hosts[:3], host))
    (finding,) = judge_host(fleet, _host("app1", failure="Host key verification failed."))
    assert "`ssh -p 2222 -o ProxyJump=bastion ops@192.0.2.4 true`" in finding.hint


def test_the_console_is_asked_for_where_a_host_has_it_and_lines_do_not_wait_for_it() -> None:
    without = FLEET.hosts[-1]
    having = msgspec.structs.replace(without, console=ConsoleNode(port=8443))
    fleet = msgspec.structs.replace(FLEET, hosts=(*FLEET.hosts[:-1], having))
    assert set(units_of(fleet, having)) - set(units_of(FLEET, without)) == {"obsctl-console"}
    units = _units(having) | {"obsctl-console": "failed"}
    seen = msgspec.structs.replace(WELL, hosts=(*WELL.hosts[:-1], _host(units=units, **_PAGES)))
    (found,) = judge_health(fleet, seen)
    assert (found.code, found.object, found.severity) == (
        "HEALTH_SERVICE_DOWN",
        "obsctl-console/app1",
        Severity.WARNING,
    )
    assert "journalctl -u obsctl-console" in found.hint
    layers = {row["layer"]: row["status"] for row in describe_health(fleet, seen)["layers"]}
    assert (layers["consumer"], layers["obsctl-console"]) == ("ok", "warning")
    assert "obsctl-console" not in _layers()


@pytest.mark.parametrize("asked", [{"silent": {"obsctl-console": 8443}}, {"processes": {"obsctl-console": "T"}}])
def test_a_console_that_hangs_is_a_warning(asked: dict[str, Any]) -> None:
    having = msgspec.structs.replace(FLEET.hosts[-1], console=ConsoleNode(port=8443))
    fleet = msgspec.structs.replace(FLEET, hosts=(*FLEET.hosts[:-1], having))
    hosts = (*WELL.hosts[:-1], _host(units=_units(having), **_PAGES, **asked))
    seen = msgspec.structs.replace(WELL, hosts=hosts)
    (found,) = judge_health(fleet, seen)
    assert (found.code, found.object, found.severity) == (
        "HEALTH_SERVICE_FROZEN",
        "obsctl-console/app1",
        Severity.WARNING,
    )
    (detail,) = (row["detail"] for row in describe_health(fleet, seen)["layers"] if row["layer"] == "obsctl-console")
    assert detail == "0 of 1 running"
