"""Variables that Ansible Vault protects, read through Ansible at the moment of use."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from obsctl.core.errors import ConfigError
from obsctl.fleet import ansible

_DEADLINE_S = 30.0
_HINT = (
    "is the variable in the inventory's group_vars/all/vault.yml, and does Ansible know the vault's password? "
    "export ANSIBLE_VAULT_PASSWORD_FILE=~/.obsctl-vault-password names a file that holds it"
)


def reader(inventory: Path) -> Callable[[str], str]:
    """Return a function that reads a variable of the inventory's group ``all`` by its name.

    The value comes through a pipe and is never part of a command line. The function raises ConfigError where the
    variable is missing or the vault cannot be opened, and MissingDependencyError without Ansible.
    """

    def read(name: str) -> str:
        if not name.isidentifier():
            raise ConfigError(f"vault:{name} does not name a variable", hint="write vault:NAME_OF_THE_VARIABLE")
        done = ansible.run(
            "ansible",
            ["localhost", "-i", str(inventory), "-m", "ansible.builtin.debug", "-a", f"msg={{{{ {name} }}}}"],
            purpose=f"vault:{name}",
            deadline_s=_DEADLINE_S,
            hint=_HINT,
            environment={
                "ANSIBLE_STDOUT_CALLBACK": "minimal",
                "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
                "ANSIBLE_LOCALHOST_WARNING": "0",
            },
        )
        value = _message(done.stdout)
        if done.returncode != 0 or value is None:
            raise ConfigError(f"the inventory {inventory} gives no value for vault:{name}", hint=_HINT)
        return value

    return read


def _message(output: str) -> str | None:
    try:
        value = json.loads(output[output.find("{") :])["msg"]
    except (ValueError, KeyError, TypeError):
        return None
    return value if isinstance(value, str) else None
