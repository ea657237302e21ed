"""Run one command on a host through the OpenSSH client, which knows keys, agents, jump hosts and known_hosts."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from obsctl.core import children
from obsctl.core.errors import ConfigError, MissingDependencyError
from obsctl.fleet import passwords
from obsctl.fleet.login import Explanation, FailureKind, explain, explain_shell, explain_sudo, words_of_ssh
from obsctl.fleet.model import Host

#: The exit status of the ssh client for its own failures.
_SSH_FAILED = 255
#: The program that the client runs for each prompt.
_ASKPASS = Path(__file__).with_name("askpass")
#: What sudo prints when it does not run a command; its warnings begin in the same way.
_SUDO_REFUSED = re.compile(
    r"sudo: .*(password is required|password was provided|incorrect password|terminal is required|must have a tty"
    r"|not found)|not in the sudoers file|is not allowed to (execute|run)"
)
#: The line after the password for sudo: sudo reads the password only if it needs one; what follows this line is the
#: command's input.
_BEGINS = "-- obsctl: from here on --"
_SKIP = f'while IFS= read -r line && [ "$line" != "{_BEGINS}" ]; do :; done; '
#: Time limit for reading the client's configuration, seconds.
_CONFIGURATION_S = 5.0


@dataclass(frozen=True)
class Answer:
    """The result of a remote command.

    Attributes:
        failure: why the host could not be asked, in ssh's own words; empty if the command ran.
        kind: the failure's kind, for programs; None if the command ran.
        hint: what to do about it; commands stand in backticks and can be typed.
        status: the remote command's exit status.
        output: its standard output.
    """

    failure: str = ""
    kind: FailureKind | None = None
    hint: str = ""
    status: int = 0
    output: str = ""


def run(host: Host, command: str, *, deadline_s: float, become: str = "", given: str = "") -> Answer:
    """Run a command line (for a shell) on the host, without prompting the user, within the deadline.

    Args:
        command: for the remote user's shell. It is visible in this machine's process list: never put a secret in it.
        deadline_s: time limit for connecting and running together, seconds.
        become: user to run it as, by sudo if the login user is another one; empty for the login user.
        given: the command's standard input, which may be a secret; empty for none.

    Raises:
        MissingDependencyError: there is no ssh client.
    """
    text = given
    if become:
        command = _as_user(become, command, asks=host.ssh.become_password, reads=bool(given))
    try:
        if become and host.ssh.become_password:
            text = f"{passwords.become_password(host).reveal()}\n" + (f"{_BEGINS}\n{given}" if given else "")
        with _client(host, command, deadline_s, reads=bool(text)) as (argv, environment):
            return _run(host, argv, environment, text, deadline_s)
    except ConfigError as error:
        return Answer(failure=str(error), kind=FailureKind.PASSWORD, hint=error.hint)


def _run(host: Host, argv: list[str], environment: dict[str, str], given: str, deadline_s: float) -> Answer:
    try:
        done = children.run(argv, deadline_s=deadline_s, given=given or None, environment=environment, own_session=True)
    except FileNotFoundError:
        raise MissingDependencyError(
            f"there is no ssh client ({argv[0]})", hint="install openssh-clients (openssh-client)"
        ) from None
    except subprocess.TimeoutExpired:
        return silent(host, deadline_s)
    if done.returncode == _SSH_FAILED and not host.ssh.local:
        return unanswered(host, done.stderr)
    if done.returncode and (refused := _refused_by_sudo(done.stderr)):
        return _because(explain_sudo(host.login()), refused)
    return Answer(status=done.returncode, output=done.stdout)


@contextlib.contextmanager
def _client(host: Host, command: str, deadline_s: float, *, reads: bool) -> Iterator[tuple[list[str], dict[str, str]]]:
    """Yield the command line that runs a command on the host, and its environment; both are valid inside the block.

    Args:
        reads: whether the command reads standard input.
    """
    if host.ssh.local:
        yield ["/bin/sh", "-c", command], {}
        return
    # The inventory's own arguments come last, because ssh uses the first value.
    options = ["-o", "NumberOfPasswordPrompts=1" if host.ssh.password else "BatchMode=yes"]
    options += ["-o", f"ConnectTimeout={max(1, int(deadline_s))}", "-o", "LogLevel=ERROR"]
    # A shared connection that outlives its client would hold the pipes open.
    options += ["-o", "ControlMaster=no", "-o", "ControlPath=none"]
    if host.ssh.user:
        options += ["-l", host.ssh.user]
    if host.ssh.key_file:
        options += ["-i", os.path.expanduser(host.ssh.key_file)]  # noqa: PTH111 - ssh wants text
    words = [*([] if reads else ["-n"]), "-p", str(host.ssh.port), *options, *shlex.split(host.ssh.common_args)]
    if not host.ssh.password:
        yield [host.ssh.executable, *words, host.address, command], {}
        return
    # The client gets the password through a program, from a file that exists only in this process's memory.
    memory = os.memfd_create("obsctl")
    try:
        os.write(memory, passwords.login_password(host).reveal().encode() + b"\n")
        yield (
            [host.ssh.executable, *words, host.address, command],
            {
                "SSH_ASKPASS": str(_ASKPASS),
                "SSH_ASKPASS_REQUIRE": "force",
                # Clients before OpenSSH 8.4 use the program only if there is a graphical display.
                "DISPLAY": os.environ.get("DISPLAY") or ":0",
                "OBSCTL_ASKPASS_FILE": f"/proc/{os.getpid()}/fd/{memory}",
                **_questions(host, words),
            },
        )
    finally:
        os.close(memory)


def _questions(host: Host, words: list[str]) -> dict[str, str]:
    """Return the variables that restrict the password to prompts of the host itself, and never of a jump host."""
    settings: dict[str, str] = {}
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(
            [host.ssh.executable, "-G", *words, host.address],
            capture_output=True,
            text=True,
            timeout=_CONFIGURATION_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        settings = dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)
    names = [host.address, *(settings[key] for key in ("hostname", "hostkeyalias") if key in settings)]
    direct = bool(settings) and all(settings.get(key, "none") == "none" for key in ("proxyjump", "proxycommand"))
    return {"OBSCTL_ASKPASS_HOSTS": " ".join(names), "OBSCTL_ASKPASS_DIRECT": "yes" if direct else ""}


def _as_user(user: str, command: str, *, asks: bool, reads: bool = False) -> str:
    """Return the command for the other user's shell: root switches to any user, others use sudo.

    Args:
        asks: whether sudo may need a password, which then comes first on standard input.
        reads: whether the command reads what comes after it.
    """
    before = "exec </dev/null; " if not reads else _SKIP if asks else ""
    shell = f"sh -c {shlex.quote(f'{before}{command}')}"
    how = "-S -p ''" if asks else "-n"
    sudo = f"sudo {how} -u {user}"
    return (
        f'me=$(id -un); if [ "$me" = {user} ]; then exec {shell}; '
        f'elif [ "$me" = root ]; then exec runuser -u {user} -- {shell}; else exec {sudo} -- {shell}; fi'
    )


def _refused_by_sudo(complaint: str) -> list[str]:
    """Return sudo's message if it did not run the command."""
    return [line.strip() for line in complaint.splitlines() if _SUDO_REFUSED.search(line)]


def unanswered(host: Host, complaint: str) -> Answer:
    """Return the answer for a host that ran no command, from what the ssh client wrote to standard error."""
    said = words_of_ssh(complaint)
    return _because(explain(host.login(), said), said)


def silent(host: Host, deadline_s: float) -> Answer:
    """Return the answer for a host that had not answered at the deadline."""
    said = f"no answer within {deadline_s:g} s"
    why = explain(host.login(), [said])
    if not host.ssh.local:
        said = said.replace("answer", "answer over ssh")
    return Answer(failure=_way(why) + said, kind=why.kind, hint=why.fix)


def refused_by_shell(host: Host, said: str) -> Answer:
    """Return the answer for a host that accepts the login, but whose shell does not run the command.

    Args:
        said: the first line of its output.
    """
    return _because(explain_shell(host.login()), [said] if said else ["nothing"])


def _way(why: Explanation) -> str:
    return "through the jump host: " if why.behind_jump_host else ""


def _because(why: Explanation, said: list[str]) -> Answer:
    return Answer(
        failure=f"{_way(why)}{why.reason}; {why.speaker} says: {' / '.join(said)}", kind=why.kind, hint=why.fix
    )
