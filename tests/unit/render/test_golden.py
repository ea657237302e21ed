"""The exact text of the reports that people and monitoring read, from fixed snapshots.

`OBSCTL_GOLDEN=write pytest tests/unit/render` writes the files anew; look at the difference before keeping it.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from obsctl.checks.balance.check import balancer_check
from obsctl.checks.consumer.check import consumer_check
from obsctl.checks.kafka.check import cluster_check, partitions_check
from obsctl.checks.vip.check import vip_check
from obsctl.cli.reporting import Start
from obsctl.render import render
from tests.unit.render import snapshots

GOLDEN = Path(__file__).parent / "golden"
CASES = {
    "verify-lb-ok": (balancer_check(), snapshots.BALANCED),
    "verify-lb-silent": (balancer_check(), snapshots.SILENT_BACKEND),
    "verify-lb-dead-vip": (balancer_check(), snapshots.DEAD_VIP),
    "verify-vip-ok": (vip_check(), snapshots.ONE_HOLDER),
    "verify-vip-split": (vip_check(), snapshots.SPLIT_BRAIN),
    "kafka-status-ok": (cluster_check(), snapshots.WHOLE_CLUSTER),
    "kafka-status-broker-down": (cluster_check(), snapshots.BROKER_DOWN),
    "kafka-status-unreachable": (cluster_check(), snapshots.UNREACHABLE),
    "kafka-partitions-broker-down": (partitions_check(), snapshots.BROKER_DOWN),
    "consumer-status-ok": (consumer_check(), snapshots.CONSUMER_WELL),
    "consumer-status-held": (consumer_check(), snapshots.CONSUMER_HELD),
}


@pytest.mark.parametrize("output", ["table", "wide", "json", "nagios"])
@pytest.mark.parametrize("name", CASES)
def test_the_text_is_the_kept_one(name: str, output: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    check, snapshot = CASES[name]
    fleet = snapshots.CONSUMER_FLEET if check.command.startswith("consumer") else snapshots.FLEET
    report = Start(at=datetime(2026, 1, 1, tzinfo=UTC)).report(
        check.command, check.describe(fleet, snapshot), check.judge(fleet, snapshot), snapshot.errors
    )
    text = render(msgspec.structs.replace(report, took_ms=42), output, check.layouts) + "\n"
    kept = GOLDEN / f"{name}.{output}"
    if os.environ.get("OBSCTL_GOLDEN") == "write":
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(text, encoding="utf-8")
    assert text == kept.read_text(encoding="utf-8")
