"""The exact text of the reports that people and monitoring read, from fixed snapshots.

`OBSCTL_GOLDEN=write pytest tests/unit/render` writes the files anew; look at the difference before keeping it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from obsctl.cli.checking import with_doc
from obsctl.cli.consumer import STATUS as CONSUMER
from obsctl.cli.kafka import PARTITIONS, STATUS
from obsctl.cli.verify import VIP, balancer_check
from obsctl.core.report import Report, verdict
from obsctl.render import render
from tests.unit.render import snapshots

GOLDEN = Path(__file__).parent / "golden"
CASES = {
    "verify-lb-ok": (balancer_check(), snapshots.BALANCED),
    "verify-lb-silent": (balancer_check(), snapshots.SILENT_BACKEND),
    "verify-lb-dead-vip": (balancer_check(), snapshots.DEAD_VIP),
    "verify-vip-ok": (VIP, snapshots.ONE_HOLDER),
    "verify-vip-split": (VIP, snapshots.SPLIT_BRAIN),
    "kafka-status-ok": (STATUS, snapshots.WHOLE_CLUSTER),
    "kafka-status-broker-down": (STATUS, snapshots.BROKER_DOWN),
    "kafka-status-unreachable": (STATUS, snapshots.UNREACHABLE),
    "kafka-partitions-broker-down": (PARTITIONS, snapshots.BROKER_DOWN),
    "consumer-status-ok": (CONSUMER, snapshots.CONSUMER_WELL),
    "consumer-status-held": (CONSUMER, snapshots.CONSUMER_HELD),
}


@pytest.mark.parametrize("output", ["table", "wide", "json", "nagios"])
@pytest.mark.parametrize("name", CASES)
def test_the_text_is_the_kept_one(name: str, output: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    check, snapshot = CASES[name]
    fleet = snapshots.CONSUMER_FLEET if check is CONSUMER else snapshots.FLEET
    findings = tuple(map(with_doc, check.judge(fleet, snapshot)))
    report = Report(
        command=check.command,
        status=verdict(findings, snapshot.errors),
        checked_at="2026-01-01T00:00:00.000Z",
        took_ms=42,
        findings=findings,
        errors=snapshot.errors,
        data=check.describe(fleet, snapshot),
    )
    text = render(report, output) + "\n"
    kept = GOLDEN / f"{name}.{output}"
    if os.environ.get("OBSCTL_GOLDEN") == "write":
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(text, encoding="utf-8")
    assert text == kept.read_text(encoding="utf-8")
