"""The artifact folder must contain each listed file as it was built, from the versions in the lock, and no other
file."""

from __future__ import annotations

import shlex
from typing import Any

import msgspec

from obsctl.checks.artifacts.snapshot import ArtifactFile, ArtifactSnapshot
from obsctl.core.report import Finding, Severity
from obsctl.fleet.model import Fleet

#: A file's state to the finding's code, severity and summary.
_FAULTS = {
    "missing": ("ARTIFACT_MISSING", Severity.CRITICAL, "the file is gone"),
    "changed": ("ARTIFACT_CHANGED", Severity.CRITICAL, "the file differs from the one that was built"),
    "outdated": ("ARTIFACT_OUTDATED", Severity.WARNING, "the lock now requires another version"),
}


def judge_artifacts(_fleet: Fleet, seen: ArtifactSnapshot) -> list[Finding]:
    """Return a finding for each file that is not as it should be, or a single one if the folder is empty."""
    if not seen.files:
        return [
            Finding(
                code="ARTIFACT_NONE",
                severity=Severity.CRITICAL,
                object=seen.folder,
                summary="the folder lists no artifacts",
                hint="obsctl artifacts build",
            )
        ]
    return [_fault(file) for file in seen.files if file.state in _FAULTS] + [
        _unlisted(seen.folder, path) for path in seen.unlisted
    ]


def describe_artifacts(_fleet: Fleet, seen: ArtifactSnapshot) -> dict[str, Any]:
    """Return the folder, and one row for each listed file."""
    rows = [msgspec.to_builtins(file) for file in seen.files]
    return {"dest": seen.folder, "artifacts": [{k: v for k, v in row.items() if k != "got"} for row in rows]}


def _fault(file: ArtifactFile) -> Finding:
    code, severity, summary = _FAULTS[file.state]
    return Finding(
        code=code,
        severity=severity,
        object=file.path,
        summary=summary,
        evidence={"expected": file.sha256, "got": file.got} if file.got else {},
        hint="obsctl artifacts build",
    )


def _unlisted(folder: str, path: str) -> Finding:
    return Finding(
        code="ARTIFACT_UNLISTED",
        severity=Severity.WARNING,
        object=path,
        summary="no build put this file here; pip on the hosts may install it",
        hint=f"rm {shlex.quote(f'{folder}/{path}')}",
    )
