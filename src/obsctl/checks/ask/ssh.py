"""Run one command on a host through the OpenSSH client, which knows keys, agents, jump hosts and known_hosts."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
from dataclasses import dataclass

from obsctl.core.errors import MissingDependencyError
from obsctl.fleet.model import Host

#: What the ssh client itself returns for its own failures.
_SSH_FAILED = 255


@dataclass(frozen=True)
class Answer:
    """What came of a remote command.

    Attributes:
        failure: why the host could not be asked, in a few words; empty when the command ran.
        status: the remote command's exit status.
        output: its standard output.
    """

    failure: str = ""
    status: int = 0
    output: str = ""


def run(host: Host, command: str, *, deadline_s: float) -> Answer:
    """Run a command line (for the remote shell) on the host; nothing is asked for, and the deadline is kept.

    Args:
        command: for the remote user's shell. It stands in this machine's process list: never put a secret in it.
        deadline_s: seconds for connecting and running together.

    Raises:
        MissingDependencyError: there is no ssh client.
    """
    try:
        process = subprocess.Popen(
            [*_client(host, deadline_s), command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # What hosts write is UTF-8, whatever this machine's locale is.
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
    except FileNotFoundError:
        raise MissingDependencyError(
            "there is no ssh client", hint="install openssh-clients (openssh-client)"
        ) from None
    try:
        output, complaint = process.communicate(timeout=deadline_s)
    except subprocess.TimeoutExpired:
        # The whole session: a jump host's client is a child of this one and holds the pipes open.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return Answer(failure=f"no answer over ssh within {deadline_s:g} s")
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        raise
    if process.returncode == _SSH_FAILED:
        return Answer(failure=_last_line(complaint) or "the ssh client failed")
    return Answer(status=process.returncode, output=output)


def _client(host: Host, deadline_s: float) -> list[str]:
    options = ["-o", "BatchMode=yes", "-o", f"ConnectTimeout={max(1, int(deadline_s))}", "-o", "LogLevel=ERROR"]
    # A connection that outlives its client would hold the pipes open; the first value counts.
    options += ["-o", "ControlMaster=no", "-o", "ControlPath=none"]
    if host.ssh.user:
        options += ["-l", host.ssh.user]
    if host.ssh.key_file:
        options += ["-i", os.path.expanduser(host.ssh.key_file)]  # noqa: PTH111 - ssh wants text
    return ["ssh", "-n", "-p", str(host.ssh.port), *options, *shlex.split(host.ssh.common_args), host.address]


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
