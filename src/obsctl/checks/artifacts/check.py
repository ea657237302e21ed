"""The check ``artifacts verify``."""

from __future__ import annotations

from collections.abc import Callable

from obsctl.checks.artifacts.judge import describe_artifacts, judge_artifacts
from obsctl.checks.artifacts.snapshot import ArtifactSnapshot
from obsctl.checks.artifacts.tables import ARTIFACT_LAYOUTS
from obsctl.checks.check import Check
from obsctl.fleet.model import Fleet


def artifacts_check(look: Callable[[], ArtifactSnapshot]) -> Check[ArtifactSnapshot]:
    """Return the check of an artifact folder, which is on this machine and in no inventory.

    Args:
        look: collects the snapshot; only the artifacts' commands know how artifacts are built.
    """
    return Check(
        "artifacts verify",
        ArtifactSnapshot,
        lambda _fleet: look(),
        judge_artifacts,
        describe_artifacts,
        ARTIFACT_LAYOUTS,
        fleet=Fleet(),
    )
