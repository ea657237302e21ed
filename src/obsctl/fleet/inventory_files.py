"""Reads the files of an Ansible inventory, as YAML with line numbers; encrypted values stay encrypted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

VARIABLES = ("group_vars", "host_vars")
_YAML = (".yml", ".yaml")
#: Suffixes of files of variables for Ansible.
_READ = ("", *_YAML, ".json")
#: The beginning of a file that is encrypted as a whole.
_ENCRYPTED = b"$ANSIBLE_VAULT;"


def root(path: Path) -> Path:
    """Return the folder of an inventory, which is itself a folder or a file."""
    return path if path.is_dir() else path.parent


def files(path: Path) -> Iterator[Path]:
    """Yield the files that Ansible reads for an inventory."""
    folders = [path] if path.is_dir() else [path.parent / name for name in VARIABLES]
    yield from [] if path.is_dir() else [path]
    for folder in folders:
        yield from sorted(file for file in folder.rglob("*") if file.is_file())


def yaml_files(path: Path) -> Iterator[Path]:
    """Yield the YAML files that must be valid: variables and hosts. Ansible ignores deeper folders."""
    for file in files(path):
        folder = file.relative_to(root(path)).parts[0]
        if file.suffix in _YAML and (file.parent == root(path) or folder in VARIABLES):
            yield file


def hosts_files(path: Path) -> list[Path]:
    """Return the files with hosts, in the order in which Ansible reads them."""
    return [path] if path.is_file() else sorted(file for file in path.glob("*") if file.is_file())


def variables_files(path: Path, kind: str, name: str) -> list[Path]:
    """Return the files of variables of one group or host; later ones take precedence.

    Args:
        path: the inventory.
        kind: ``group_vars`` or ``host_vars``.
        name: of the group or the host.
    """
    for ending in _READ:
        found = root(path) / kind / f"{name}{ending}"
        if found.is_file():
            return [found]
        if found.is_dir():
            return [file for file in sorted(found.rglob("*")) if file.is_file() and _is_read(file.relative_to(found))]
    return []


def _is_read(file: Path) -> bool:
    return file.suffix in _READ and not any(part.startswith(".") or part.endswith("~") for part in file.parts)


def is_encrypted(file: Path) -> bool:
    """Return whether Ansible Vault has encrypted a file as a whole; False for one that cannot be read."""
    try:
        with file.open("rb") as text:
            return text.read(len(_ENCRYPTED)) == _ENCRYPTED
    except OSError:
        return False


def loader() -> Any:
    """Return a YAML loader that only makes nodes: tags such as !vault are Ansible's, and values do not matter."""
    import yaml

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def variables(file: Path) -> dict[str, tuple[Any, Any]]:
    """Return the keys of a file of variables, each with the nodes of its key and its value.

    Empty for a file that is encrypted, unreadable or not YAML.
    """
    import yaml

    if is_encrypted(file):
        return {}
    try:
        return pairs(yaml.compose(file.read_text(encoding="utf-8"), Loader=loader()))
    except (OSError, ValueError, yaml.YAMLError):
        return {}


def pairs(node: Any) -> dict[str, tuple[Any, Any]]:
    """Return the keys of a mapping, each with the nodes of its key and its value; empty for another node."""
    import yaml

    if not isinstance(node, yaml.MappingNode):
        return {}
    return {str(key.value): (key, value) for key, value in node.value}
