"""Passwords in an inventory for logins and sudo, read through Ansible at the moment of use."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from obsctl.core.errors import ConfigError, MissingDependencyError
from obsctl.core.secrets import Secret
from obsctl.fleet import ansible
from obsctl.fleet.complaints import no_value
from obsctl.fleet.model import Host

_DEADLINE_S = 30.0
#: Variables in the precedence of Ansible's own plugins.
_LOGIN = ("ansible_ssh_password", "ansible_ssh_pass", "ansible_password")
_BECOME = ("ansible_sudo_pass", "ansible_become_pass", "ansible_become_password")
_one_at_a_time = threading.Lock()


def login_password(host: Host) -> Secret:
    """Return the password with which the inventory logs in to the host.

    Raises:
        ConfigError: it cannot be read here.
        MissingDependencyError: Ansible is not installed.
    """
    return _of(host, _LOGIN)


def become_password(host: Host) -> Secret:
    """Return the password for sudo on the host; raises as :func:`login_password` does."""
    return _of(host, _BECOME)


def prepare(hosts: Iterable[Host]) -> None:
    """Read the hosts' passwords now, so that no host's deadline runs while Ansible starts.

    Errors are reported when the password is used.
    """
    for host in hosts:
        with contextlib.suppress(ConfigError, MissingDependencyError):
            if host.ssh.password:
                login_password(host)


def _of(host: Host, names: tuple[str, ...]) -> Secret:
    if not host.ssh.inventory:
        raise ConfigError(
            f"the password of {host.name} is in the Ansible inventory, which was not read here",
            hint="run this on the control node with --inventory",
        )
    # Many threads ask hosts at the same time, but Ansible must run only once.
    with _one_at_a_time:
        value = _all(host.ssh.inventory, names).get(host.name)
    # ansible-core 2.16 returns a template that fails unchanged.
    if not value or value.startswith("{{"):
        raise ConfigError(
            f"{names[-1]} of {host.name} has no value",
            hint=f"define what it refers to in {host.ssh.inventory}; check that the vault file exists",
        )
    return Secret(value, f"{names[-1]} of {host.name}")


@cache
def _all(inventory: str, names: tuple[str, ...]) -> dict[str, str]:
    """Return the passwords by host, for hosts that have one."""
    first = " or ".join(f"hostvars[host].{name} | default('')" for name in names)
    message = (
        "{% set found = namespace(all={}) %}{% for host in groups['all'] %}"
        "{% set found.all = found.all | combine({host: (" + first + ") | string}) %}"
        "{% endfor %}{{ found.all | to_json }}"
    )
    found, output = ansible.value_of(
        message,
        Path(inventory),
        purpose=f"the passwords of {inventory}",
        deadline_s=_DEADLINE_S,
        hint="check whether an inventory script or a vault password client hangs",
    )
    if found is None:
        raise no_value(Path(inventory), names[-1], names[-1], output)
    return {str(host): str(value) for host, value in json.loads(found).items() if value}
