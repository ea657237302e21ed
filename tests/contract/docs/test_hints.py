"""A hint can be typed as it stands: no placeholder is left in it, whatever fault made it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from obsctl.checks.balance.check import balancer_check
from obsctl.checks.consumer.check import consumer_check
from obsctl.checks.health.check import health_check
from obsctl.checks.health.clocks import Clock
from obsctl.checks.health.snapshot import AlerterPage, ChannelOnPage, DatabaseProbe, Disk, HealthSnapshot
from obsctl.checks.kafka.check import cluster_check, partitions_check
from obsctl.checks.kafka.snapshot import KafkaSnapshot, Partition
from obsctl.checks.vip.check import vip_check
from obsctl.core.consumer_page import ConsumerPage, Note, WorkerOnPage
from obsctl.core.report import Finding
from obsctl.fleet.model import Fleet
from tests.unit.checks.fleet_answers import FLEET, WELL, killed, refusing_ssh, seen_with, waiting_consumer, with_unit
from tests.unit.render import snapshots

#: What means something that the reader would have to fill in.
PLACEHOLDER = re.compile(
    r"<[a-z_ -]+>|\.\.\.|…|\{\w*\}|\b(?:HOST(?:NAME)?|ADDRESS|PORT|NAME|UNIT|BROKER|TOPIC|GROUP(?! BY)|PATH|FILE"
    r"|USER|ID|NODE|BOOTSTRAP|SERVER|MOUNT|INVENTORY)\b|\b(?:None|null)\b"
)
_NOBODY = Partition(topic="nginxlog", partition=0, leader=None, leader_epoch=1, replicas=(1, 2, 3), isr=(3,), min_isr=2)


def _kafka(**parts: object) -> HealthSnapshot:
    return msgspec.structs.replace(WELL, kafka=msgspec.structs.replace(WELL.kafka, **parts))


def _sick() -> Iterator[tuple[str, Fleet, HealthSnapshot]]:
    """Give snapshots that together make most findings of health."""
    yield "a host killed", FLEET, killed("node2")
    yield "two hosts killed", FLEET, killed("node1", killed("node2"))
    yield "all killed", FLEET, killed("node1", killed("node2", killed("node3")))
    yield "ssh refused", FLEET, refusing_ssh("node1", "Connection refused")
    yield "the database's host dead", FLEET, refusing_ssh("db1", "no answer over ssh within 6 s")
    for name, unit in (
        ("node1", "nginx"),
        ("node1", "keepalived"),
        ("node2", "kafka"),
        ("node3", "obs-backend"),
        ("node3", "filebeat"),
        ("db1", "mariadb"),
        ("app1", "obsctl-consumer"),
        ("app1", "obsctl-alerter"),
    ):
        yield f"{unit} stopped", FLEET, seen_with(name, host=with_unit(name, unit, "inactive"))
        # Those with a health page are known by it, below.
        if not unit.startswith("obsctl"):
            yield f"{unit} frozen", FLEET, seen_with(name, host=with_unit(name, unit, "active", "T"))
    for service in ("consumer", "alerter"):
        host = {service: None, "no_page": {service: "does not answer"}}
        yield f"no page of the {service}", FLEET, seen_with("app1", host=host)
    yield "a full disk", FLEET, seen_with("node3", host={"disks": (Disk(mount="/var", free_bytes=0, total_bytes=10),)})
    yield "the consumer waits", FLEET, waiting_consumer({"database": Note("away"), "kafka": Note("away")})
    replaced = ConsumerPage(
        status="waiting", troubles={"worker 1": Note("replaced")}, workers=(WorkerOnPage(worker=1, state="running"),)
    )
    yield "a worker replaced", FLEET, seen_with("app1", host={"consumer": replaced})
    page = AlerterPage(status="degraded", reason="x", channels=(ChannelOnPage(name="ops", failures=1, next_try=1.0),))
    yield "a robot refuses", FLEET, seen_with("app1", host={"alerter": page})
    yield "all alerters stand by", FLEET, seen_with("app1", host={"alerter": AlerterPage(status="ok", role="standby")})
    yield (
        "the vip silent",
        FLEET,
        msgspec.structs.replace(WELL, vip=msgspec.structs.replace(WELL.vip, vip_failure="no answer in time")),
    )
    yield "two holders", FLEET, seen_with("node2", node={"holds_vip": True})
    yield "two holders, one left behind", FLEET, seen_with("node2", node={"holds_vip": True, "keepalived": "failed"})
    yield "no holder", FLEET, seen_with("node1", node={"holds_vip": False})
    yield "nginx silent", FLEET, seen_with("node1", node={"nginx_failure": "no answer in time"})
    yield "no controller", FLEET, _kafka(quorum=None)
    yield "no partitions", FLEET, _kafka(partitions=())
    yield "no leader", FLEET, _kafka(partitions=(_NOBODY,))
    yield "below min ISR", FLEET, _kafka(partitions=(msgspec.structs.replace(_NOBODY, leader=3),))
    yield "no database", FLEET, msgspec.structs.replace(WELL, database=DatabaseProbe(failure="no answer within 6 s"))
    untrusted = DatabaseProbe(failure="the certificate of the database at 192.0.2.3:3306 has expired", untrusted=True)
    yield "database not trusted", FLEET, msgspec.structs.replace(WELL, database=untrusted)
    yield "database not asked", FLEET, msgspec.structs.replace(WELL, database=DatabaseProbe(asked=False, failure="x"))
    yield (
        "rows beyond",
        FLEET,
        msgspec.structs.replace(WELL, database=DatabaseProbe(quarantined_last_day=1, catch_all_rows=1)),
    )
    ahead = Clock(asked=1.0, answered=1.1, shown=99.0)
    yield "a clock ahead", FLEET, seen_with("node2", host={"clock": ahead})
    yield "an empty inventory", Fleet(), HealthSnapshot()
    yield "an inventory without settings", FLEET, HealthSnapshot()


_HEALTH = [(name, health_check().findings(fleet, seen)) for name, fleet, seen in _sick()]
_OTHERS = [
    (name, check.findings(fleet, seen))  # type: ignore[attr-defined]
    for name, check, fleet, seen in (
        ("balancer silent", balancer_check(), snapshots.FLEET, snapshots.SILENT_BACKEND),
        ("balancer dead", balancer_check(), snapshots.FLEET, snapshots.DEAD_VIP),
        ("split brain", vip_check(), snapshots.FLEET, snapshots.SPLIT_BRAIN),
        ("broker down", cluster_check(), snapshots.FLEET, snapshots.BROKER_DOWN),
        ("cluster silent", cluster_check(), snapshots.FLEET, snapshots.UNREACHABLE),
        ("partitions", partitions_check(), snapshots.FLEET, snapshots.BROKER_DOWN),
        ("consumer held", consumer_check(), snapshots.CONSUMER_FLEET, snapshots.CONSUMER_HELD),
        ("no inventory", cluster_check(), Fleet(), KafkaSnapshot()),
    )
]
MADE = [*_HEALTH, *_OTHERS]


@pytest.mark.parametrize(("fault", "findings"), MADE, ids=[name for name, _ in MADE])
def test_no_hint_of_a_fault_has_a_placeholder(fault: str, findings: list[Finding]) -> None:
    assert findings, f"{fault} makes no finding"
    for finding in findings:
        assert not PLACEHOLDER.search(finding.hint), f"{finding.code} {finding.object}: {finding.hint}"


def test_the_faults_tried_make_every_code_of_health(project: Path) -> None:
    codes = {finding.code for _, findings in MADE for finding in findings}
    health = {path.stem for path in (project / "docs/runbooks").glob("HEALTH_*.md")}
    assert health <= codes, sorted(health - codes)


def _texts(node: ast.AST) -> Iterator[str]:
    """Give the literal texts of an expression, of what is put in nothing."""
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.value


def test_no_hint_that_the_checks_can_write_has_a_placeholder(project: Path) -> None:
    found = 0
    for path in (project / "src/obsctl/checks").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "hint":
                found += 1
                for text in _texts(node.value):
                    assert not PLACEHOLDER.search(text), f"{path}:{node.value.lineno}: {text}"
    assert found > 40
