"""The stand-ins' process as the lab sees it: there or not, started, ended."""

from __future__ import annotations

import importlib.util
import signal
import socket
import subprocess
import sys
import time

from obsctl.core.errors import MissingDependencyError
from obsctl.lab import processes
from obsctl.lab.errors import LabError
from obsctl.lab.spec import LabSpec

HTTP_PORT = 9580
SMTP_PORT = 9525

_MODULE = "obsctl.lab.standins"
_START_S = 15.0


def require() -> None:
    """Check that the mail server's library is there.

    Raises:
        MissingDependencyError: it is not.
    """
    if importlib.util.find_spec("aiosmtpd") is None:
        raise MissingDependencyError("the lab's mail stand-in needs aiosmtpd: pip install 'obscraft[lab]'")


def running(spec: LabSpec) -> bool:
    """Return whether the stand-ins of this lab run."""
    return bool(processes.of_module(_MODULE, str(spec.state_dir)))


def start(spec: LabSpec) -> None:
    """Start the stand-ins where they do not run; returns when they answer.

    Raises:
        LabError: they do not come up, for one because a port is taken.
    """
    if running(spec):
        return
    log = spec.state_dir / "standins.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", _MODULE, str(spec.state_dir), str(spec.gateway), str(HTTP_PORT), str(SMTP_PORT)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd="/",
        )
    deadline = time.monotonic() + _START_S
    while not all(_answers(spec, port) for port in (HTTP_PORT, SMTP_PORT)):
        if process.poll() is not None or time.monotonic() > deadline:
            said = log.read_text(errors="replace").strip().splitlines()
            raise LabError(f"the stand-ins do not start: {said[-1] if said else 'no reason given'}")
        time.sleep(0.05)


def stop(spec: LabSpec) -> None:
    """End the stand-ins of this lab, if they run."""
    found = processes.of_module(_MODULE, str(spec.state_dir))
    for process in found:
        processes.send(process.pid, signal.SIGTERM)
    for process in processes.wait_gone(found, 3):
        processes.send(process.pid, signal.SIGKILL)
    processes.wait_gone(found, 3)


def _answers(spec: LabSpec, port: int) -> bool:
    try:
        socket.create_connection((str(spec.gateway), port), timeout=1).close()
    except OSError:
        return False
    return True
