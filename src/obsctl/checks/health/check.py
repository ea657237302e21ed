"""The check of all layers, ``health`` and ``status``."""

from __future__ import annotations

from obsctl.checks.check import Check
from obsctl.checks.health.collect import collect_health
from obsctl.checks.health.judge import describe_health, judge_health
from obsctl.checks.health.snapshot import HealthSnapshot
from obsctl.checks.health.tables import HEALTH_LAYOUTS
from obsctl.checks.kafka.writes import writes
from obsctl.fleet.model import Fleet


def health_check(command: str = "health") -> Check[HealthSnapshot]:
    """Return the check of all layers under the name of a command."""
    return Check(
        command,
        HealthSnapshot,
        collect_health,
        judge_health,
        describe_health,
        HEALTH_LAYOUTS,
        meaning=_meaning,
        one_screen=True,
    )


def _meaning(fleet: Fleet, snapshot: HealthSnapshot) -> str:
    return writes(fleet, snapshot.kafka) if snapshot.kafka is not None else ""
