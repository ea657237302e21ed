"""Runs commands of obsctl on a host of the fleet that has their configuration and its secrets."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from obsctl.core.errors import ExitCode, ObsctlError

if TYPE_CHECKING:
    from obsctl.core.report import Report
    from obsctl.fleet.model import Host

#: Path of the program on the hosts of consumer and console.
PROGRAM = "/opt/obsctl/venv/bin/obsctl"
#: Lower codes are verdicts, which come with a report.
_ERRORS = {code.value: code for code in ExitCode if code >= ExitCode.USAGE}


class Place(NamedTuple):
    """Where a group of commands runs.

    Attributes:
        host: on which host.
        user: as whom, who may read the secrets there.
        playbook: that installs the program.
        again: text of a hint for a command whose progress is unknown.
    """

    host: Host
    user: str
    playbook: str
    again: str


class _ThereError(ObsctlError):
    """The command on the host failed; with its own error and exit code."""

    def __init__(self, message: str, *, hint: str = "", exit_code: ExitCode = ExitCode.UNKNOWN) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = exit_code


def report(place: Place, arguments: Sequence[str], deadline_s: float) -> Report:
    """Run a command on a host and return its report.

    Args:
        place: where.
        arguments: the command's.
        deadline_s: seconds.

    Raises:
        ObsctlError: it gave no report; with its own error and exit code, or UNKNOWN if it did not answer.
    """
    answer = run(place, arguments, deadline_s)
    if answer is None:
        raise _ThereError(f"{place.host.name}: it said nothing", hint=_other_version(place))
    return answer


def run(
    place: Place, arguments: Sequence[str], deadline_s: float, *, given: str = "", person: str = ""
) -> Report | None:
    """Run a command on a host and return its report; None if it succeeded without one.

    Args:
        place: where.
        arguments: of the command; other users of both machines can see them.
        deadline_s: seconds.
        given: its standard input, which may be a secret.
        person: who is at the terminal, for a command that records it; empty for the user there.

    Raises:
        ObsctlError: it failed; with its own error and exit code, or UNKNOWN if it did not answer.
    """
    from obsctl.checks.ask import ssh
    from obsctl.core.decoding import UndecodableError, decode_json
    from obsctl.core.report import Report

    host = place.host
    program = shlex.join([*(["env", f"LOGNAME={person}"] if person else []), PROGRAM, *arguments, "-q", "-o", "json"])
    answer = ssh.run(host, f"{program} 2>&1", deadline_s=deadline_s, become=place.user, given=given)
    if answer.failure:
        raise ObsctlError(
            f"{host.name}: {answer.failure}",
            hint=f"{answer.hint}; it is unknown whether anything was changed; {place.again}",
        )
    *said, last = answer.output.strip().splitlines() or [""]
    if not last and answer.status == 0:
        return None
    try:
        return decode_json(last, Report)
    except UndecodableError:
        words = [line.strip().removeprefix("obsctl: ") for line in (*said, last) if line.strip()]
        hints = [line.removeprefix("hint: ") for line in words if line.startswith("hint: ")]
        message = "; ".join(line for line in words if not line.startswith("hint: ")) or "it said nothing"
        code = _ERRORS.get(answer.status, ExitCode.UNKNOWN)
        # A program that refuses something knows the command.
        hint = "; ".join(hints) or ("" if code is ExitCode.REFUSED else _other_version(place))
        raise _ThereError(f"{host.name}: {message}", hint=hint, exit_code=code) from None


def _other_version(place: Place) -> str:
    return (
        f"on {place.host.name}: check that {PROGRAM} has this version; ansible-playbook "
        f"playbooks/{place.playbook}.yml -i inventories/prod installs it"
    )
