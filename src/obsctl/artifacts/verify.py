"""Checks whether the artifact folder is unchanged since the build, and still matches the lock."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass

from obsctl.artifacts import filebeat, kafka
from obsctl.artifacts.lock import Lock
from obsctl.artifacts.store import Artifact, Store, sha256


class State(enum.StrEnum):
    """The state of a listed file."""

    INTACT = "intact"
    MISSING = "missing"
    CHANGED = "changed"
    OUTDATED = "outdated"


@dataclass(frozen=True)
class Examined:
    """A listed file, read again.

    Attributes:
        artifact: its entry in the folder's list.
        state: ``outdated`` is a file that is intact, and made of what the lock no longer asks for.
        got: the SHA-256 of a changed file, hex; else empty.
    """

    artifact: Artifact
    state: State
    got: str = ""


def examine(store: Store, lock: Lock) -> Iterator[Examined]:
    """Read each listed file of a folder and yield its state, by path.

    Args:
        lock: what the artifacts should have been made of.

    Raises:
        ConfigError: the folder's list is damaged.
    """
    listed = store.artifacts()
    for path in sorted(listed):
        artifact = listed[path]
        if not (store.root / path).is_file():
            yield Examined(artifact, State.MISSING)
        elif not store.intact(artifact):
            yield Examined(artifact, State.CHANGED, sha256(store.root / path))
        else:
            yield Examined(artifact, State.INTACT if artifact.inputs in _locked(artifact, lock) else State.OUTDATED)


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
