# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""The ports that a host's programs listen on, for the firewall's rules."""

from __future__ import annotations

DOCUMENTATION = r"""
---
name: listeners
short_description: The TCP ports that this host's programs listen on, and for whom
version_added: 0.2.0
description:
  - Evaluates the list of C(docs/reference/ports.md) with the host's variables, over the defaults of the collection's
    roles.
options:
  _terms:
    description: None.
author:
  - The ObsCraft authors (@obscraft)
"""

EXAMPLES = r"""
- name: Show the ports of this host
  ansible.builtin.debug:
    msg: "{{ query('obscraft.fleet.listeners') }}"
"""

RETURN = r"""
_list:
  description: One entry a socket.
  type: list
  elements: dict
  contains:
    program:
      description: What listens.
      type: str
    group:
      description: Whose hosts listen; C(all) for every host.
      type: str
    address:
      description: The address; empty for every address of the host.
      type: str
    port:
      description: The TCP port.
      type: int
    sources:
      description: Groups whose hosts may come, C(admin) for C(firewall_admin_sources), C(anyone), or a variable with
        addresses. Empty for loopback.
      type: list
      elements: str
    addresses:
      description: The addresses and networks of such variables.
      type: list
      elements: str
"""

from typing import Any

from ansible.plugins.lookup import LookupBase
from ansible_collections.obscraft.fleet.plugins.action.fleet_preflight import role_defaults, trusted
from ansible_collections.obscraft.fleet.plugins.plugin_utils.listeners import sockets


class LookupModule(LookupBase):  # type: ignore[misc]  # Ansible has no types
    """Lists the sockets of the host that the template is for."""

    def run(self, _terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[dict[str, Any]]:
        self.set_options(var_options=variables, direct=kwargs)
        own = variables or {}
        known = {**{name: trusted(value) for name, value in role_defaults().items()}, **own}
        templar = self._templar.copy_with_new_env(available_variables=known)

        def value(name: str) -> Any:
            return templar.template(known[name]) if name in known else None

        return [
            {
                "program": socket.listener.program,
                "group": socket.listener.group,
                "address": socket.address,
                "port": socket.port,
                "sources": list(socket.listener.sources),
                "addresses": [one for name in socket.listener.sources if "_" in name for one in value(name) or []],
            }
            for socket in sockets(value("group_names"), value)
        ]
