"""Variables that Ansible Vault protects, read through Ansible at the moment of use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from obsctl.core.errors import ConfigError
from obsctl.fleet import ansible
from obsctl.fleet.complaints import no_value

_DEADLINE_S = 30.0
_HINT = "check whether an inventory script or a vault password client hangs"


def reader(inventory: Path) -> Callable[[str], str]:
    """Return a function that reads a variable of the inventory's group ``all`` by its name.

    The value comes through a pipe and is never part of a command line. The function raises ConfigError if the variable
    is missing or the vault cannot be opened, and MissingDependencyError without Ansible.
    """

    def read(name: str) -> str:
        if not name.isidentifier():
            raise ConfigError(f"vault:{name} does not name a variable", hint="write vault:NAME_OF_THE_VARIABLE")
        value, output = ansible.value_of(
            f"{{{{ {name} }}}}", inventory, purpose=f"vault:{name}", deadline_s=_DEADLINE_S, hint=_HINT
        )
        if value is None:
            raise no_value(inventory, f"vault:{name}", name, output)
        return value

    return read
