"""Which files the artifact folder must contain, and which step makes each; nothing is fetched or written here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from obsctl.artifacts import filebeat, kafka, native, wheels
from obsctl.artifacts.lock import Lock, Part
from obsctl.artifacts.programs import Notify
from obsctl.core.errors import ConfigError

T = TypeVar("T")


@dataclass(frozen=True)
class Wanted:
    """One file: where it belongs, what it is, and the digest of everything that it is made of."""

    path: str
    name: str
    version: str
    inputs: str


@dataclass(frozen=True)
class Step:
    """Files that are made together.

    Attributes:
        title: the step, as people call it.
        wanted: its files.
        make: called with those of its files that are missing, a scratch folder and a receiver of progress; returns
            the made file by path, and the origin.
        needed: False if a build continues without these files when they cannot be made here.
    """

    title: str
    wanted: tuple[Wanted, ...]
    make: Callable[[Sequence[Wanted], Path, Notify], tuple[dict[str, Path], str]]
    needed: bool = True


def steps(
    lock: Lock,
    parts: Sequence[Part],
    kafka_versions: Sequence[str],
    filebeat_versions: Sequence[str],
    pythons: Sequence[str],
) -> list[Step]:
    """Return the steps for these parts and versions, the quick ones first.

    Raises:
        ConfigError: the lock does not know a version.
    """
    found: list[Step] = []
    if Part.WHEELS in parts:
        found += [_dependencies(lock, python) for python in pythons]
        found.append(_project(pythons))
        found.append(_native(lock, pythons))
    if Part.KAFKA in parts:
        found += [_kafka(lock, version) for version in kafka_versions]
    if Part.FILEBEAT in parts:
        found += [_filebeat(lock, version) for version in filebeat_versions]
    return found


def _kafka(lock: Lock, version: str) -> Step:
    entry = _locked(lock.kafka, "Kafka", version, "--kafka-version")
    path = f"kafka/{kafka.file_name(version)}"

    def make(_missing: Sequence[Wanted], work: Path, notify: Notify) -> tuple[dict[str, Path], str]:
        made, origin = kafka.make(version, entry, work, notify)
        return {path: made}, origin

    return Step(f"kafka {version}", (Wanted(path, "kafka", version, kafka.inputs(version, entry)),), make)


def _filebeat(lock: Lock, version: str) -> Step:
    entry = _locked(lock.filebeat, "Filebeat", version, "--filebeat-version")
    path = f"filebeat/{filebeat.file_name(version)}"

    def make(_missing: Sequence[Wanted], work: Path, notify: Notify) -> tuple[dict[str, Path], str]:
        made, origin = filebeat.make(version, entry, lock.go, work, notify)
        return {path: made}, origin

    return Step(f"filebeat {version}", (Wanted(path, "filebeat", version, filebeat.inputs(version, entry)),), make)


def _dependencies(lock: Lock, python: str) -> Step:
    locked = _locked(lock.wheels, "Python", python, "--python")
    folder = wheels_folder(python)

    def make(missing: Sequence[Wanted], work: Path, notify: Notify) -> tuple[dict[str, Path], str]:
        names = [item.path.removeprefix(f"{folder}/") for item in missing]
        notify(f"wheels for Python {python}: fetching {len(names)}")
        fetched = wheels.download({name: locked[name] for name in names}, python, work, notify)
        return {f"{folder}/{path.name}": path for path in fetched}, "pypi"

    wanted = tuple(Wanted(f"{folder}/{name}", *wheels.name_and_version(name), locked[name]) for name in sorted(locked))
    return Step(f"wheels for Python {python}", wanted, make)


def _project(pythons: Sequence[str]) -> Step:
    root = wheels.source_tree()
    name, version = wheels.project_wheel(root)
    digest = wheels.source_digest(root)

    def make(missing: Sequence[Wanted], work: Path, notify: Notify) -> tuple[dict[str, Path], str]:
        notify("the project's wheel: building")
        built = wheels.build_project(root, work, notify)
        return {item.path: built for item in missing}, "source"

    paths = [f"{wheels_folder(python)}/{name}-{version}-py3-none-any.whl" for python in pythons]
    return Step("the project's wheel", tuple(Wanted(path, name, version, digest) for path in paths), make)


def _native(lock: Lock, pythons: Sequence[str]) -> Step:
    root = wheels.source_tree()
    made_of = native.inputs(root, lock.native)
    version = native.version(root, made_of)

    def make(missing: Sequence[Wanted], work: Path, notify: Notify) -> tuple[dict[str, Path], str]:
        built = native.make(root, version, lock.native, work, notify)
        return {item.path: built for item in missing}, "source"

    paths = [f"{wheels_folder(python)}/{native.file_name(version)}" for python in pythons]
    wanted = tuple(Wanted(path, native.NAME, version, made_of) for path in paths)
    return Step("the native module's wheel", wanted, make, needed=False)


def wheels_folder(python: str) -> str:
    """Return the folder of a Python's wheels, relative to the artifact folder."""
    return f"wheels/py{python}"


def _locked(entries: dict[str, T], what: str, version: str, option: str) -> T:
    if version not in entries:
        known = ", ".join(sorted(entries))
        raise ConfigError(
            f"the lock holds no checksums for {what} {version}; it knows {known}",
            hint=f"use one of these, or lock it first: obsctl artifacts lock {option} {version}",
        )
    return entries[version]
