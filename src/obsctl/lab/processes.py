"""The lab's processes, found by what they were started with.

No pid files: they can be stale, or missing when a start was interrupted between two steps. What runs names
the lab's own directory in its arguments, and that is looked up in /proc.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_POLL_S = 0.02


@dataclass(frozen=True)
class Process:
    """A running process: its id and its arguments."""

    pid: int
    argv: tuple[str, ...]

    def alive(self) -> bool:
        """Return whether this process, and not a later one of the same id, still runs (a zombie does not)."""
        return _argv(self.pid) == self.argv


def running() -> Iterator[Process]:
    """Yield every process that has arguments (kernel threads and zombies have none)."""
    for entry in os.scandir("/proc"):
        if entry.name.isdigit() and (argv := _argv(int(entry.name))):
            yield Process(int(entry.name), argv)


def of_module(module: str, *arguments: str) -> list[Process]:
    """Return the processes that run ``python -m MODULE ARGUMENTS…``, whatever follows."""
    wanted = ("-m", module, *arguments)
    return [found for found in running() if found.argv[1 : 1 + len(wanted)] == wanted]


def of_program(program: str, argument: str) -> list[Process]:
    """Return the processes of a program (by its base name) that have the argument among theirs."""
    return [found for found in running() if Path(found.argv[0]).name == program and argument in found.argv[1:]]


def naming_below(directory: Path) -> list[Process]:
    """Return the processes that have a path below the directory as an argument, this one apart."""
    start = f"{directory}/"
    return [p for p in running() if any(word.startswith(start) for word in p.argv) and p.pid != os.getpid()]


def session_of(leader: Process) -> list[int]:
    """Return the ids of every process in the session of that process."""
    members = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(ProcessLookupError):
                if os.getsid(int(entry.name)) == os.getsid(leader.pid):
                    members.append(int(entry.name))
    return members


def children(pid: int) -> list[int]:
    """Return the ids of the process's children, the oldest first."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal; a process that is gone already is no error."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def wait_gone(processes: Iterable[Process], seconds: float) -> list[Process]:
    """Wait until the processes have ended; return those which have not within the seconds."""
    deadline = time.monotonic() + seconds
    left = list(processes)
    while (left := [process for process in left if process.alive()]) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    return left


def _argv(pid: int) -> tuple[str, ...]:
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return ()
    return tuple(raw.rstrip(b"\0").decode(errors="replace").split("\0")) if raw else ()
