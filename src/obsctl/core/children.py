"""Runs programs within a deadline; when a command is interrupted, none of them keeps running."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

#: The running programs, each with whether it has its own session.
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
        own_session: whether it runs in its own session, detached from the terminal, and is ended with all its
            children.

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
        # The output of hosts and Ansible is UTF-8, whatever this machine's locale is.
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
    """End all running programs, and those that other threads still start; for a process that exits at once."""
    _ending.set()
    for process, own_session in list(_running.items()):
        _end(process, own_session)


def _end(process: subprocess.Popen[str], own_session: bool) -> None:
    if not own_session:
        process.kill()
        return
    # Even if the program itself has ended: an ssh client to a jump host is its child, and keeps the pipes open.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
