"""The record of this machine's lab: which checkout started it, its phase, and what was changed on the machine.

Light to import: other parts ask here whether the current tree's lab is up.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

_STATE_DIR = Path("/var/lib/obsctl-lab")
_FILE = "state.json"

#: The lab's changes take a while and may be interrupted between any two of them.
STARTING = "starting"
UP = "up"
STOPPING = "stopping"


@dataclass(frozen=True)
class LabState:
    """The record of one lab.

    Attributes:
        checkout: the tree that started it.
        os: the recipe of the guests' root.
        host_os: the same for single hosts that run another system.
        bases: recipe to the directory below the guests' disks.
        phase: ``starting``, ``up`` or ``stopping``; the first and the last mean that a change was interrupted
            or is on its way.
        bridge: the bridge's name; gone after a reboot of the machine.
        ip_forward: the kernel's setting before the lab, or None while the lab has not changed it.
    """

    checkout: str
    os: str
    host_os: Mapping[str, str]
    bases: Mapping[str, str]
    phase: str
    bridge: str
    ip_forward: str | None = None

    def os_of(self, host: str) -> str:
        """Return the recipe of a host's root."""
        return self.host_os.get(host, self.os)


def record_file(state_dir: Path = _STATE_DIR) -> Path:
    """Return where the record is kept."""
    return state_dir / _FILE


def read(state_dir: Path = _STATE_DIR) -> LabState | None:
    """Return the record, or None where there is no lab or its record cannot be read."""
    try:
        return LabState(**json.loads(record_file(state_dir).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def write(state_dir: Path, state: LabState) -> None:
    """Replace the record in one step, so that an interruption leaves the old or the new one."""
    draft = state_dir / f".{_FILE}"
    draft.write_text(json.dumps(asdict(state), indent=2) + "\n")
    draft.replace(record_file(state_dir))


def lab_of_tree_is_up(tree: Path, state_dir: Path = _STATE_DIR) -> bool:
    """Return whether the machine's lab is up and was started from this tree."""
    state = read(state_dir)
    return (
        state is not None
        and state.phase == UP
        and os.path.realpath(state.checkout) == os.path.realpath(tree)
        and Path("/sys/class/net", state.bridge).exists()
    )


def this_checkout() -> Path:
    """Return the tree that this code runs from; for an installed wheel, the current directory."""
    tree = Path(__file__).resolve().parents[3]
    return tree if (tree / "pyproject.toml").is_file() else Path.cwd()
