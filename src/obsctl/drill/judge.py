"""Judges drills: findings, and the report's data; pure."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from obsctl.core.layout import Layout
from obsctl.core.report import Finding, Severity
from obsctl.core.utc import iso
from obsctl.drill.faults import Aim, bound, restore_command
from obsctl.drill.record import Drill
from obsctl.fleet.model import Fleet

DRILL_LAYOUTS = (
    Layout(
        "drills",
        "Drills",
        ("drill", "host", "outage_s", "bound_s", "stall_s", "stall_bound_s", "failed", "sent", "lost", "doubled"),
        wide=("begun_at", "lasts_s", "stored", "id"),
    ),
    Layout("events", "What happened", ("drill", "at_s", "event")),
    Layout("plans", "What would be done", ("drill", "what", "lasts_s", "bound_s", "stall_bound_s")),
)


def judge_drill(fleet: Fleet, drill: Drill, at: Aim) -> list[Finding]:
    """Return findings for everything that exceeded a limit."""
    obsctl = f"obsctl -i {shlex.quote(fleet.inventory)}"
    allowed = bound(fleet, at, drill.lasts_s)
    findings: list[Finding] = []

    def found(code: str, summary: str, hint: str, severity: Severity = Severity.CRITICAL, **evidence: float) -> None:
        name = f"{drill.target}/{drill.host}"
        findings.append(
            Finding(code=code, severity=severity, object=name, summary=summary, evidence=evidence, hint=hint)
        )

    if not drill.restored:
        found(
            "DRILL_NOT_RESTORED",
            f"{drill.host} did not confirm that it is restored; a timer on the host restores it within a minute",
            f"on {drill.host}, as root: {restore_command(at)}",
        )
    elif not drill.healthy:
        found(
            "DRILL_NOT_HEALTHY",
            f"{drill.unit} was restored, but the fleet is still not healthy after three minutes",
            f"{obsctl} health",
        )
    outage, stall = drill.outage.seconds, drill.stall.seconds
    if outage > drill.bound_s:
        found(
            "DRILL_OUTAGE_TOO_LONG",
            f"{drill.failed} of {len(drill.probes)} requests failed, the outage took {outage:.2f} s and may take "
            f"{drill.bound_s:g} s: {allowed.outage_reason}",
            f"{obsctl} verify vip; {obsctl} drill show {drill.id}",
            outage_s=outage,
            bound_s=drill.bound_s,
            failed=drill.failed,
        )
    if stall > drill.stall_bound_s:
        what = "no alerter worked" if drill.alerter else "no row was stored"
        found(
            "DRILL_STALL_TOO_LONG",
            f"{what} for {stall:.1f} s, at most {drill.stall_bound_s:g} s are allowed: {allowed.stall_reason}",
            f"{obsctl} consumer status; {obsctl} kafka status",
            stall_s=stall,
            bound_s=drill.stall_bound_s,
        )
    if not drill.counted:
        found(
            "DRILL_NOT_COUNTED",
            "the drill's rows could not be read from the database, so losses are unknown",
            f"{obsctl} health",
            Severity.UNKNOWN,
        )
    if drill.lost:
        found(
            "DRILL_LINES_LOST",
            f"{drill.lost} of {drill.expected} lines of answered requests are not stored",
            f"{obsctl} consumer status shows missing offsets and the quarantine",
            lost=drill.lost,
            expected=drill.expected,
        )
    if drill.doubled:
        found(
            "DRILL_LINES_DOUBLED",
            f"{drill.doubled} rows are stored twice",
            f"{obsctl} consumer status",
            doubled=drill.doubled,
        )
    return findings


def describe_drills(drills: Sequence[Drill], *, events: bool = True) -> dict[str, Any]:
    """Return the report's data.

    Args:
        drills: in the order in which they were run.
        events: whether to include the timelines.
    """
    data: dict[str, Any] = {
        "metrics": {
            "drills": len(drills),
            "longest_outage_s": max((drill.outage.seconds for drill in drills), default=0.0),
            "lost": sum(drill.lost for drill in drills),
            "doubled": sum(drill.doubled for drill in drills),
        },
        "drills": [_row(drill) for drill in drills],
    }
    if events:
        data["events"] = [
            {"drill": f"{drill.target} {drill.how}", "at_s": round(event.at, 1), "event": event.text}
            for drill in drills
            for event in drill.events
        ]
    return data


def _row(drill: Drill) -> dict[str, Any]:
    return {
        "drill": f"{drill.target} {drill.how}",
        "host": drill.host,
        "unit": drill.unit,
        "begun_at": iso(drill.begun_at),
        "lasts_s": drill.lasts_s,
        "outage_s": drill.outage.seconds,
        "bound_s": drill.bound_s,
        "stall_s": drill.stall.seconds,
        "stall_bound_s": drill.stall_bound_s,
        "failed": drill.failed,
        "sent": len(drill.probes),
        "expected": drill.expected,
        "stored": drill.stored if drill.counted else None,
        "lost": drill.lost if drill.counted else None,
        "doubled": drill.doubled if drill.counted else None,
        "restored": drill.restored,
        "healthy": drill.healthy,
        "id": drill.id,
    }
