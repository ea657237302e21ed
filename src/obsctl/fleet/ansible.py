"""Run one of Ansible's programs: the one beside this Python, else the one on the PATH."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from obsctl.core.errors import ConfigError, MissingDependencyError


def run(
    program: str,
    arguments: Sequence[str],
    *,
    purpose: str,
    deadline_s: float,
    hint: str,
    environment: Mapping[str, str],
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program of Ansible without a terminal and return what it printed, whatever its exit code.

    Args:
        purpose: what it is run for, as the subject of the error messages.
        deadline_s: seconds that it may take.
        hint: what to look at when it takes longer.
        environment: variables added to this process's own.

    Raises:
        MissingDependencyError: the program is not installed.
        ConfigError: it did not end in time.
    """
    beside = Path(sys.executable).parent / program
    try:
        return subprocess.run(
            [str(beside) if beside.exists() else program, *arguments],
            cwd=cwd,
            env={**os.environ, "ANSIBLE_NOCOLOR": "1", **environment},
            capture_output=True,
            text=True,
            timeout=deadline_s,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        raise MissingDependencyError(
            f"{purpose} is read through {program}, which is not installed",
            hint="pip install 'obscraft[control]', or point --inventory to a fleet.json",
        ) from None
    except subprocess.TimeoutExpired:
        raise ConfigError(f"{program} did not read {purpose} within {deadline_s:.0f} s", hint=hint) from None
