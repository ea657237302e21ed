"""Judges whether each host of the embedded fleet runs, is connected to the network and answers ssh."""

from __future__ import annotations

from typing import Any

import msgspec

from obsctl.checks.lab.snapshot import LabHost, LabSnapshot
from obsctl.core.report import Finding, Severity
from obsctl.fleet.model import Fleet


def judge_lab(_fleet: Fleet, seen: LabSnapshot) -> list[Finding]:
    """Return a finding for each host that does not answer, or a single one if there is no lab."""
    if not seen.record:
        return [
            Finding(
                code="LAB_NOT_UP",
                severity=Severity.CRITICAL,
                object="lab",
                summary="there is no lab on this machine",
                hint="obsctl lab up",
            )
        ]
    return [_finding(host) for host in seen.hosts if not (host.running and host.ssh)]


def describe_lab(_fleet: Fleet, seen: LabSnapshot) -> dict[str, Any]:
    """Return the lab's record, and one row for each host."""
    return {"lab": seen.record, "hosts": [msgspec.to_builtins(host) for host in seen.hosts]}


def _finding(host: LabHost) -> Finding:
    evidence = {"running": host.running, "cable": host.cable, "ssh": host.ssh}
    if host.cable == "cut":
        return _host_finding("LAB_CABLE_CUT", host, "its network link is cut", evidence, f"obsctl lab heal {host.name}")
    summary = "it is running, but its sshd does not answer" if host.running else "it is not running"
    return _host_finding("LAB_HOST_DOWN", host, summary, evidence, f"obsctl lab start {host.name}")


def _host_finding(code: str, host: LabHost, summary: str, evidence: dict[str, Any], hint: str) -> Finding:
    return Finding(
        code=code,
        severity=Severity.CRITICAL,
        object=f"host/{host.name}",
        summary=summary,
        evidence=evidence,
        hint=hint,
    )
