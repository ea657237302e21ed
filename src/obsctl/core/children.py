"""Programs that this one runs for an answer within a deadline; none goes on when a command is broken off."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

#: Each with whether it has a session of its own.
_running: dict[subprocess.Popen[str], bool] = {}
_ending = threading.Event()


def run(
    argv: Sequence[str],
    *,
    deadline_s: float,
    given: str | None = None,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    own_session: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and return what it printed, whatever its exit code.

    Args:
        argv: the program and its arguments.
        deadline_s: seconds that it may take.
        given: what it reads; nothing by default.
        environment: variables added to this process's own.
        cwd: where it runs.
        own_session: apart from this process's terminal, and ended with all that it started itself.

    Raises:
        FileNotFoundError: there is no such program.
        subprocess.TimeoutExpired: it took longer, and was ended.
    """
    with subprocess.Popen(
        argv,
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL if given is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # What hosts and Ansible write is UTF-8, whatever this machine's locale is.
        encoding="utf-8",
        errors="replace",
        start_new_session=own_session,
    ) as process:
        _running[process] = own_session
        try:
            if _ending.is_set():
                _end(process, own_session)
            output, complaint = process.communicate(given, timeout=deadline_s)
        except BaseException:
            _end(process, own_session)
            raise
        finally:
            _running.pop(process)
    return subprocess.CompletedProcess(argv, process.returncode, output, complaint)


def end_all() -> None:
    """End what runs, and what other threads still start: for a process that ends at once."""
    _ending.set()
    for process, own_session in list(_running.items()):
        _end(process, own_session)


def _end(process: subprocess.Popen[str], own_session: bool) -> None:
    if not own_session:
        process.kill()
        return
    # Also where it has ended itself: a client of ssh to a jump host is a child, and holds the pipes open.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
