"""What a fleet answers `obsctl health`: all of it well, and the same with what one fault changes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from tests.unit.render.snapshots import WHOLE_CLUSTER

from obsctl.checks.ask import ssh
from obsctl.checks.health.collect import units_of
from obsctl.checks.health.snapshot import AlerterPage, BackendProbe, DatabaseProbe, Disk, HealthSnapshot, HostProbe
from obsctl.checks.kafka.snapshot import UNREACHABLE
from obsctl.checks.vip.snapshot import LbNode, VipSnapshot
from obsctl.core.consumer_page import ConsumerPage, LineCounts, Note
from obsctl.fleet.model import BackendNode, Database, Fleet, Host, Kafka, KafkaNode, Topic, Vip

FLEET = Fleet(
    vip=Vip(address="198.18.0.100"),
    hosts=(
        *(
            Host(
                name=f"node{i}", address=f"198.18.0.1{i}", groups=("lb", "backend", "kafka", "filebeat"),
                kafka=KafkaNode(node_id=i), backend=BackendNode(port=8080),
            )
            for i in (1, 2, 3)
        ),
        Host(name="db1", address="198.18.0.21", groups=("mysql",)),
        Host(name="app1", address="198.18.0.31", groups=("consumer",)),
    ),
    kafka=Kafka(topics=(Topic(name="nginxlog", partitions=3),)),
    database=Database(host="198.18.0.21", service="mariadb"),
)  # fmt: skip
_CONSUMER = ConsumerPage(status="ok", lines=LineCounts(stored=5, quarantined=0))
_ALERTER = AlerterPage(status="ok", firing=0, waiting=0, lag=0)


def _host(host: Host) -> HostProbe:
    units = units_of(FLEET, host)
    pages: dict[str, Any] = {"consumer": _CONSUMER, "alerter": _ALERTER} if "consumer" in host.groups else {}
    return HostProbe(
        name=host.name,
        units=dict.fromkeys(units, "active"),
        processes=dict.fromkeys(units, "S"),
        disks=(Disk(mount="/", free_bytes=60 << 30, total_bytes=100 << 30),),
        **pages,
    )


WELL = HealthSnapshot(
    vip=VipSnapshot(
        vip="198.18.0.100",
        nodes=tuple(
            LbNode(name=f"node{i}", address=f"198.18.0.1{i}", keepalived="active", holds_vip=i == 1) for i in (1, 2, 3)
        ),
    ),
    kafka=msgspec.structs.replace(
        WHOLE_CLUSTER, brokers=tuple(msgspec.structs.replace(b, log_dirs=()) for b in WHOLE_CLUSTER.brokers)
    ),
    hosts=tuple(map(_host, FLEET.hosts)),
    backends=tuple(BackendProbe(name=f"node{i}", status=200, took_ms=2) for i in (1, 2, 3)),
    database=DatabaseProbe(version="10.11", behind_s=1),
)


def _changed(rows: Iterable[Any], name: str, **parts: Any) -> tuple[Any, ...]:
    """Return rows with other values in the one of a host."""
    key = "host" if hasattr(next(iter(rows)), "host") else "name"
    return tuple(msgspec.structs.replace(row, **parts) if getattr(row, key) == name else row for row in rows)


def seen_with(name: str, seen: HealthSnapshot = WELL, **parts: dict[str, Any]) -> HealthSnapshot:
    """Return the fleet with other answers of one host, by what was asked: host, node, broker, backend."""
    assert seen.vip is not None
    assert seen.kafka is not None
    return msgspec.structs.replace(
        seen,
        hosts=_changed(seen.hosts, name, **parts.get("host", {})),
        backends=_changed(seen.backends, name, **parts.get("backend", {})),
        vip=msgspec.structs.replace(seen.vip, nodes=_changed(seen.vip.nodes, name, **parts.get("node", {}))),
        kafka=msgspec.structs.replace(
            seen.kafka, brokers=_changed(seen.kafka.brokers, name, **parts.get("broker", {}))
        ),
    )


def unreached(name: str, said: str = "") -> dict[str, Any]:
    """Return the parts of a probe that ssh did not reach: by its words, or after six seconds without any."""
    host = next((host for host in FLEET.hosts if host.name == name), FLEET.hosts[0])
    answer = ssh.unanswered(host, said) if said else ssh.silent(host, 6.0)
    return {"failure": answer.failure, "failure_kind": answer.kind, "hint": answer.hint}


_NO_SSH: dict[str, Any] = {"units": {}, "processes": {}, "disks": (), "consumer": None, "alerter": None}


def killed(name: str, seen: HealthSnapshot = WELL) -> HealthSnapshot:
    why = "no answer in time"
    return seen_with(
        name,
        seen,
        host=unreached(name) | _NO_SSH,
        node={"failure": "no answer within 4 s", "nginx_failure": why, "holds_vip": False},
        broker={"failure": why, "silence": UNREACHABLE},
        backend={"status": None, "failure": why},
    )


def refusing_ssh(name: str, why: str, seen: HealthSnapshot = WELL) -> HealthSnapshot:
    parts = unreached(name, why)
    return seen_with(name, seen, host=parts | _NO_SSH, node={"failure": parts["failure"], "holds_vip": False})


def with_unit(name: str, unit: str, state: str, process: str = "") -> dict[str, Any]:
    probe = next(probe for probe in WELL.hosts if probe.name == name)
    return {"units": probe.units | {unit: state}, "processes": probe.processes | {unit: process}}


def waiting_consumer(troubles: dict[str, Note]) -> HealthSnapshot:
    return seen_with("app1", host={"consumer": ConsumerPage(status="waiting", troubles=troubles)})
