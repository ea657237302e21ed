"""Is the artifact folder still what was built, and is that still what the lock asks for?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from obsctl.artifacts import filebeat, kafka
from obsctl.artifacts.lock import Lock
from obsctl.artifacts.store import Artifact, Store, sha256
from obsctl.core.report import Finding, Severity


def examine(store: Store, listed: Mapping[str, Artifact], lock: Lock) -> list[Finding]:
    """Read each listed file and return what is wrong.

    Args:
        store: the folder.
        listed: its manifest's artifacts by path.
        lock: what the artifacts should have been made of.
    """
    if not listed:
        return [
            Finding(
                code="ARTIFACT_NONE",
                severity=Severity.CRITICAL,
                object=str(store.root),
                summary="the folder lists no artifacts",
                hint="obsctl artifacts build",
                doc="docs/runbooks/ARTIFACT_NONE.md",
            )
        ]
    faults = [finding for path in sorted(listed) for finding in _faults(store, listed[path], lock)]
    return faults + [_unlisted(path) for path in store.files() if path not in listed]


def _faults(store: Store, artifact: Artifact, lock: Lock) -> Iterator[Finding]:
    path = store.root / artifact.path
    if not path.is_file():
        yield _finding("ARTIFACT_MISSING", Severity.CRITICAL, artifact, "the file is gone")
    elif not store.intact(artifact):
        evidence = {"expected": artifact.sha256, "got": sha256(path)}
        yield _finding(
            "ARTIFACT_CHANGED", Severity.CRITICAL, artifact, "the file is not the one that was built", evidence
        )
    elif artifact.inputs not in _locked(artifact, lock):
        yield _finding("ARTIFACT_OUTDATED", Severity.WARNING, artifact, "the lock asks for another one by now")


def _locked(artifact: Artifact, lock: Lock) -> set[str]:
    """Return the digests that the lock allows for this artifact; its own where the lock does not speak of it."""
    if artifact.origin == "source":
        return {artifact.inputs}
    if artifact.name == "kafka":
        return {kafka.inputs(version, entry) for version, entry in lock.kafka.items() if version == artifact.version}
    if artifact.name == "filebeat":
        return {
            filebeat.inputs(version, entry) for version, entry in lock.filebeat.items() if version == artifact.version
        }
    return {checksum for files in lock.wheels.values() for checksum in files.values()}


def _finding(
    code: str, severity: Severity, artifact: Artifact, summary: str, evidence: dict[str, str] | None = None
) -> Finding:
    return Finding(
        code=code,
        severity=severity,
        object=artifact.path,
        summary=summary,
        evidence=evidence or {},
        hint="obsctl artifacts build",
        doc=f"docs/runbooks/{code}.md",
    )


def _unlisted(path: str) -> Finding:
    return Finding(
        code="ARTIFACT_UNLISTED",
        severity=Severity.WARNING,
        object=path,
        summary="no build put this file here; pip on the hosts may take it",
        hint="remove it",
        doc="docs/runbooks/ARTIFACT_UNLISTED.md",
    )
