"""The exact text of the reports that people and monitoring read, from fixed snapshots.

`OBSCTL_GOLDEN=write pytest tests/unit/render` writes the files anew; look at the difference before keeping it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from obsctl.checks.balance.check import balancer_check
from obsctl.checks.canary.check import canary_check
from obsctl.checks.check import Check
from obsctl.checks.consumer.check import consumer_check
from obsctl.checks.health.check import health_check
from obsctl.checks.kafka.check import cluster_check, loss_check, partitions_check, quorum_check, topics_check
from obsctl.checks.lag.check import lag_check
from obsctl.checks.logs.check import followed_check, passive_check, trace_check
from obsctl.checks.vip.check import vip_check
from obsctl.cli import checking, settings
from obsctl.cli.checking import report_of
from obsctl.cli.reporting import Start
from obsctl.core.layout import Layout
from obsctl.core.report import Ignored, Muted, Report
from obsctl.fleet.model import Fleet
from obsctl.render import render
from tests.unit.checks import fleet_answers
from tests.unit.render import snapshots

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
GOLDEN = Path(__file__).parent / "golden"
CASES = {
    "verify-lb-ok": (balancer_check(), snapshots.BALANCED),
    "verify-lb-timed": (balancer_check(), snapshots.TIMED),
    "verify-lb-silent": (balancer_check(), snapshots.SILENT_BACKEND),
    "verify-lb-dead-vip": (balancer_check(), snapshots.DEAD_VIP),
    "verify-vip-ok": (vip_check(), snapshots.ONE_HOLDER),
    "verify-vip-split": (vip_check(), snapshots.SPLIT_BRAIN),
    "kafka-status-ok": (cluster_check(), snapshots.WHOLE_CLUSTER),
    "kafka-status-broker-down": (cluster_check(), snapshots.BROKER_DOWN),
    "kafka-status-unreachable": (cluster_check(), snapshots.UNREACHABLE),
    "kafka-partitions-broker-down": (partitions_check(), snapshots.BROKER_DOWN),
    "kafka-status-no-majority": (cluster_check(), snapshots.NO_MAJORITY),
    "kafka-partitions-follower-cut": (partitions_check(), snapshots.FOLLOWER_CUT),
    "kafka-topics-by-hand": (topics_check(), snapshots.TOPICS_BY_HAND),
    "kafka-quorum-broker-down": (quorum_check(), snapshots.BROKER_DOWN),
    "kafka-whatif-two": (loss_check(["node2", "3"]), snapshots.WHOLE_CLUSTER),
    "consumer-status-ok": (consumer_check(), snapshots.CONSUMER_WELL),
    "consumer-status-held": (consumer_check(), snapshots.CONSUMER_HELD),
    "health-ok": (health_check(), fleet_answers.WELL),
    "health-host-down": (health_check(), fleet_answers.killed("node2")),
    "health-ssh-refused": (
        health_check(),
        fleet_answers.refusing_ssh("node1", "ssh: connect to host 198.18.0.11 port 22: Connection refused"),
    ),
    "verify-logs-ok": (followed_check(), snapshots.FOLLOWED),
    "verify-logs-stays": (followed_check(), snapshots.STAYS),
    "verify-logs-passive": (passive_check(), snapshots.SHIPPED),
    "trace-ok": (trace_check(), snapshots.FOLLOWED),
    "consumer-status-without-database": (consumer_check(), snapshots.CONSUMER_WITHOUT_DATABASE),
    "kafka-lag-ok": (lag_check(), snapshots.LAG_WELL),
    "kafka-lag-sick": (lag_check(), snapshots.LAG_SICK),
    "kafka-canary-ok": (canary_check(), snapshots.CANARY_WELL),
    "kafka-canary-sick": (canary_check(), snapshots.CANARY_SICK),
}
#: By the command's name; where it is not the usual one.
FLEETS = {"consumer status": snapshots.CONSUMER_FLEET, "health": fleet_answers.FLEET}


@pytest.mark.parametrize("output", [*settings.Output])
@pytest.mark.parametrize("name", CASES)
def test_the_text_is_the_kept_one(name: str, output: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    check, snapshot = CASES[name]
    _compare(name, output, _report(check, snapshot), check.layouts)


@pytest.mark.parametrize("output", [*settings.Output])
def test_what_is_set_aside_has_its_place_in_each_format(output: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    check, snapshot = CASES["kafka-status-broker-down"]
    whole = _report(check, snapshot)
    down, *others = whole.findings
    report = Start(at=NEW_YEAR).report(
        check.command,
        {},
        others[:1],
        muted=[Muted.of(down, until="2026-01-01T00:30:00.000Z", reason="gets a disk", author="anna")],
        ignored=[Ignored.of(finding, by=f"--ignore {finding.code}") for finding in others[1:]],
    )
    _compare("set-aside", output, msgspec.structs.replace(report, took_ms=42), ())


@pytest.mark.parametrize("name", CASES)
def test_a_saved_snapshot_is_judged_as_it_was(name: str, tmp_path: Path) -> None:
    check, snapshot = CASES[name]
    fleet = _fleet(check)
    file = tmp_path / "seen.json"
    file.write_bytes(checking.saved(check, fleet, snapshot, NEW_YEAR))
    fleet_again, again, checked_at = checking.read_saved(check, file)
    assert checked_at == NEW_YEAR
    assert check.findings(fleet_again, again) == check.findings(fleet, snapshot)
    assert check.describe(fleet_again, again) == check.describe(fleet, snapshot)


def _fleet(check: Check) -> Fleet:
    return FLEETS.get(check.command, snapshots.FLEET)


def _report(check: Check, snapshot: Any) -> Report:
    report = report_of(check, _fleet(check), snapshot, Start(at=NEW_YEAR), NEW_YEAR)
    return msgspec.structs.replace(report, took_ms=42)


def _compare(name: str, output: str, report: Report, layouts: Sequence[Layout]) -> None:
    text = render(report, output, layouts) + "\n"
    kept = GOLDEN / f"{name}.{output}"
    if os.environ.get("OBSCTL_GOLDEN") == "write":
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(text, encoding="utf-8")
    assert text == kept.read_text(encoding="utf-8")
