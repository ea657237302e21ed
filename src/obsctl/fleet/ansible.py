"""Runs Ansible's programs: those installed with this Python, otherwise those on the PATH."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from obsctl.core import children
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
        environment: variables to add to this process's own.

    Raises:
        MissingDependencyError: the program is not installed.
        ConfigError: it did not end in time.
    """
    beside = Path(sys.executable).parent / program
    try:
        return children.run(
            [str(beside) if beside.exists() else program, *arguments],
            deadline_s=deadline_s,
            environment={"ANSIBLE_NOCOLOR": "1", **environment},
            cwd=cwd,
        )
    except FileNotFoundError:
        raise MissingDependencyError(
            f"{purpose} is read through {program}, which is not installed",
            hint="pip install 'obscraft[control]', or point --inventory to a fleet.json",
        ) from None
    except subprocess.TimeoutExpired:
        raise ConfigError(f"{program} did not read {purpose} within {deadline_s:.0f} s", hint=hint) from None


def readable(tree: Path) -> dict[str, str]:
    """Return the environment that makes a playbook's output readable for a program, whatever the user's settings are.

    Args:
        tree: the project's root. The user's ansible.cfg may not know its collection.
    """
    given = os.environ.get("ANSIBLE_COLLECTIONS_PATH") or "~/.ansible/collections:/usr/share/ansible/collections"
    return {
        "ANSIBLE_RETRY_FILES_ENABLED": "0",
        "ANSIBLE_STDOUT_CALLBACK": "default",
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
        "ANSIBLE_COLLECTIONS_PATH": f"{tree / 'collections'}:{given}",
    }


def value_of(template: str, inventory: Path, *, purpose: str, deadline_s: float, hint: str) -> tuple[str | None, str]:
    """Render a template for localhost with an inventory's variables; return the value, and what Ansible printed.

    The value comes through a pipe and is never part of a command line; it is None if the template fails.

    Args:
        purpose: what it is read for, as the subject of the error messages.
        deadline_s: seconds that it may take.
        hint: what to look at when it takes longer.

    Raises:
        MissingDependencyError: Ansible is not installed.
        ConfigError: it did not end in time.
    """
    done = run(
        "ansible",
        ["localhost", "-i", str(inventory), "-m", "ansible.builtin.debug", "-a", json.dumps({"msg": template})],
        purpose=purpose,
        deadline_s=deadline_s,
        hint=hint,
        environment={
            "ANSIBLE_STDOUT_CALLBACK": "minimal",
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
            "ANSIBLE_LOCALHOST_WARNING": "0",
        },
    )
    return (_message(done.stdout) if done.returncode == 0 else None), done.stdout + done.stderr


def _message(output: str) -> str | None:
    try:
        value = json.loads(output[output.find("{") :])["msg"]
    except (ValueError, KeyError, TypeError):
        return None
    # Ansible returns a text that looks like JSON as the value that it describes, so a password of digits becomes a
    # number.
    return value if isinstance(value, str) else json.dumps(value)
