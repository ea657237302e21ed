"""Every layer's fault has its own finding, and a dead host costs its own row only."""

from __future__ import annotations

from typing import Any

import pytest

from obsctl.checks.health import describe_health, judge_health
from obsctl.collect.health import read_host, units_of
from obsctl.contract import Severity
from obsctl.fleet.model import Database, Fleet, Host
from obsctl.snapshot.health import BackendProbe, DatabaseProbe, Disk, HealthSnapshot, HostProbe

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
    return {finding.code: finding.severity for finding in judge_health(FLEET, HealthSnapshot(**parts))}


def _host(name: str = "app1", **parts: Any) -> HostProbe:
    return HostProbe(name=name, **parts)


def test_a_healthy_fleet_has_no_findings() -> None:
    probes = (
        _host("node1", units={"nginx": "active", "filebeat": "active"}),
        _host("app1", units={"obsctl-consumer": "active"}, services={"consumer": {"status": "ok"}}),
    )
    assert _codes(hosts=probes, backends=(BackendProbe(name="node1", status=200, took_ms=2),)) == {}


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
    assert _codes(hosts=(_host(host, units={unit: state}),)) == {code: severity}


def test_a_dead_host_is_critical_only_where_it_stands_alone() -> None:
    assert _codes(hosts=(_host("node1", failure="no route"),)) == {"HEALTH_HOST_DOWN": Severity.WARNING}
    assert _codes(hosts=(_host("db1", failure="no route"),)) == {"HEALTH_HOST_DOWN": Severity.CRITICAL}


def test_an_active_unit_without_an_answer_is_down() -> None:
    probe = _host(units={"obsctl-consumer": "active"}, services={"consumer": None})
    assert _codes(hosts=(probe,)) == {"HEALTH_CONSUMER_DOWN": Severity.CRITICAL}


@pytest.mark.parametrize(
    "page",
    [
        {"status": "degraded", "reason": "the database is away"},
        {"status": "waiting", "troubles": {"database": {"message": "the database is away", "hint": "wait"}}},
    ],
)
def test_a_service_that_waits_says_why(page: dict[str, Any]) -> None:
    probe = _host(units={"obsctl-consumer": "active"}, services={"consumer": page})
    (finding,) = judge_health(FLEET, HealthSnapshot(hosts=(probe,)))
    assert finding.code == "HEALTH_CONSUMER_WAITING"
    assert "the database is away" in finding.summary


@pytest.mark.parametrize(("used", "severity"), [(84, None), (85, Severity.WARNING), (95, Severity.CRITICAL)])
def test_a_full_disk(used: int, severity: Severity | None) -> None:
    probe = _host(disks=(Disk(mount="/", used_percent=used, free_bytes=2**30),))
    assert _codes(hosts=(probe,)).get("HEALTH_DISK_FULL") == severity


@pytest.mark.parametrize("status", [None, 500])
def test_a_back_end_that_is_not_well(status: int | None) -> None:
    probe = BackendProbe(name="node2", status=status, took_ms=1)
    assert _codes(backends=(probe,)) == {"HEALTH_BACKEND_DOWN": Severity.WARNING}


@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        (DatabaseProbe(version="10.11", behind_s=1, quarantined_last_day=0, catch_all_rows=0), {}),
        (DatabaseProbe(failure="refused"), {"HEALTH_DATABASE_DOWN": Severity.CRITICAL}),
        (DatabaseProbe(quarantined_last_day=3), {"HEALTH_QUARANTINE": Severity.INFO}),
        (DatabaseProbe(catch_all_rows=3), {"HEALTH_CATCH_ALL_PARTITION": Severity.WARNING}),
    ],
)
def test_the_database(probe: DatabaseProbe, expected: dict[str, Severity]) -> None:
    assert _codes(database=probe) == expected


def test_what_a_host_prints_is_read() -> None:
    probe = read_host(
        "app1",
        "unit obsctl-consumer active\nunit nginx \nnoise\ndisk 1024 91% /var/log with blank\ndisk x y\n"
        'page consumer {"status": "ok"}\npage alerter \n',
    )
    assert probe.units == {"obsctl-consumer": "active", "nginx": "unknown"}
    assert probe.disks == (Disk(mount="/var/log with blank", used_percent=91, free_bytes=2**20),)
    assert probe.services == {"consumer": {"status": "ok"}, "alerter": None}


def test_each_group_brings_its_units() -> None:
    assert units_of(FLEET, FLEET.hosts[0]) == ("nginx", "keepalived", "obs-backend", "kafka", "filebeat")
    assert units_of(FLEET, FLEET.hosts[2]) == ("mariadb",)


def test_the_layers_carry_the_worst_of_their_findings() -> None:
    snapshot = HealthSnapshot(
        hosts=(_host("node1", units={"nginx": "failed"}),), database=DatabaseProbe(failure="connection refused")
    )
    layers = {row["layer"]: row["status"] for row in describe_health(FLEET, snapshot)["layers"]}
    assert layers["nginx"] == "warning"
    assert layers["database"] == "critical"
