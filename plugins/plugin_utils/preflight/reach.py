# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""Hosts that did not answer: why, in ssh's own words, and the command that shows or fixes it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.kinds import LOGIN
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.login import (
    SSH_PORT,
    Login,
    explain,
    explain_shell,
    login_as,
    words_of_ssh,
)
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.look import said_once
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.model import Fleet, Problem

#: Variables of a login, the first that is set counts, as in Ansible's own ssh plugin.
_ADDRESS = ("ansible_ssh_host", "ansible_host")
_PORT = ("ansible_ssh_port", "ansible_port")
_USER = ("ansible_ssh_user", "ansible_user")
_KEY = ("ansible_ssh_private_key_file", "ansible_private_key_file")
_PASSWORD = ("ansible_ssh_password", "ansible_ssh_pass", "ansible_password")
_ARGUMENTS = ("ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args")
#: How Ansible introduces what ssh said.
_PREFACE = re.compile(r"^(Task failed: )?((Data could not|Failed to connect).*? via ssh: )?")


def login_of(host: str, variables: Mapping[str, Any], given: Mapping[str, str]) -> Login:
    """Return how a host is logged in on.

    Args:
        host: its inventory name.
        variables: its variables.
        given: what the command line or ansible.cfg gives where the inventory is silent.
    """

    def value(names: tuple[str, ...]) -> str:
        found = (str(source.get(name)) for source in (variables, given) for name in names if source.get(name))
        return next(found, "")

    port = value(_PORT)
    return login_as(
        host=host,
        address=value(_ADDRESS) or host,
        port=int(port) if port.isdigit() else SSH_PORT,
        user=value(_USER),
        key=value(_KEY),
        arguments=" ".join(value((name,)) for name in _ARGUMENTS),
        has_password=bool(value(_PASSWORD)),
        is_ssh=value(("ansible_connection",)) in ("", "ssh", "smart", "ansible.builtin.ssh"),
        inventory=given.get("inventory", ""),
    )


def said_by_ssh(silence: str) -> list[str]:
    """Return the lines of ssh's (or Ansible's) answer that say something, each once, without Ansible's preface."""
    text = re.sub(_PREFACE, "", silence.strip())
    return words_of_ssh("\n".join(said_once(line) for line in text.splitlines()))


def unreachable(fleet: Fleet) -> Iterator[Problem]:
    for host, look in fleet.looks.items():
        if look.silence is None or _login_is_named(fleet, host):
            continue
        login = login_of(host, fleet.hosts.get(host, {}), fleet.login)
        said = said_by_ssh(look.silence)
        if look.logged_in:
            why = explain_shell(login)
            yield Problem(host, f"{why.reason}; {why.speaker} says: {' / '.join(said)}", why.fix)
            continue
        why = explain(login, said)
        subject = "cannot be reached through the jump host: " if why.behind_jump_host else "cannot be reached: "
        yield Problem(host, f"{subject}{why.reason}; {why.speaker} says: {' / '.join(said)}", why.fix)


def _login_is_named(fleet: Fleet, host: str) -> bool:
    """Whether another rule has reported a login value of the host: then its silence is not a second problem."""
    broken = fleet.broken.get(host, {})
    return any(name in broken and broken[name] is None for name in LOGIN)
