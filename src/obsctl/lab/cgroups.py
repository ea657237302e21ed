"""A cgroup of its own for each guest.

Guests that share one see each other's units in their systemd, and kill them. Each gets a child of the cgroup
that the caller runs in, in every hierarchy that a guest's systemd uses; never one above it.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

#: What systemd in a guest looks at, by the name in /proc/self/cgroup; "" is the unified hierarchy (version 2).
_HIERARCHIES = ("", "name=systemd", "memory", "freezer")
_ROOT = Path("/sys/fs/cgroup")


def for_machine(machine: str) -> list[Path]:
    """Return the directories that a guest's cgroup has, below this process's own (they need not exist)."""
    own = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        for name in names.split(","):
            own[name] = path.lstrip("/")
    found = []
    for name in _HIERARCHIES:
        if name in own and (mount := _mount_of(name)) is not None:
            # Called from inside a guest's own group (a test's shell may be): its sibling, not its child.
            parts = [part for part in Path(own[name]).parts if not part.startswith("lab-")]
            found.append(mount.joinpath(*parts, f"lab-{machine}"))
    return found


def existing(machine: str) -> list[Path]:
    """Return the guest's cgroups wherever they are, also those that another session made."""
    wanted = f"lab-{machine}"
    mounts = {_mount_of(name) for name in _HIERARCHIES} - {None}
    return [
        Path(parent, wanted) for mount in mounts for parent, children, _ in os.walk(str(mount)) if wanted in children
    ]


def kill(directory: Path) -> None:
    """Kill every process in the group and below it."""
    for parent, _, _ in os.walk(directory):
        with contextlib.suppress(FileNotFoundError):
            for pid in Path(parent, "cgroup.procs").read_text().split():
                # "0": a process that this namespace cannot see, hence not one of a guest started from here.
                if pid != "0":
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(int(pid), signal.SIGKILL)


def remove(directory: Path) -> bool:
    """Remove the group and those below it; False while something still runs in it."""
    for parent, _, _ in os.walk(directory, topdown=False):
        try:
            Path(parent).rmdir()
        except FileNotFoundError:
            pass
        except OSError:
            return False
    return True


def _mount_of(name: str) -> Path | None:
    """Return where a hierarchy is mounted, in the layouts of version 1, hybrid and version 2."""
    if name == "":
        places = [_ROOT / "unified", _ROOT]
        return next((place for place in places if (place / "cgroup.controllers").is_file()), None)
    place = _ROOT / name.removeprefix("name=")
    return place if (place / "cgroup.procs").is_file() and place != _ROOT else None
