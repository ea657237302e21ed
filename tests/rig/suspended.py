"""Whether a process is stopped by a signal."""

from __future__ import annotations

from pathlib import Path


def is_suspended(pid: int) -> bool:
    """Return whether all threads of a process are stopped: the signal stops one after the other."""
    states = [path.read_text().rpartition(")")[2].split()[0] for path in Path(f"/proc/{pid}/task").glob("*/stat")]
    return set(states) == {"T"}
