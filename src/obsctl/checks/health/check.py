"""The check of all layers, ``health`` and ``status``."""

from __future__ import annotations

from obsctl.checks.check import Check
from obsctl.checks.health.collect import collect_health
from obsctl.checks.health.judge import describe_health, judge_health
from obsctl.checks.health.snapshot import HealthSnapshot
from obsctl.checks.health.tables import HEALTH_LAYOUTS


def health_check(command: str = "health") -> Check[HealthSnapshot]:
    """Return the check of all layers under the name of a command."""
    return Check(command, HealthSnapshot, collect_health, judge_health, describe_health, HEALTH_LAYOUTS)
