# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""The sockets of nginx's listen directives, for all that must know on which addresses it answers."""

from __future__ import annotations

DOCUMENTATION = r"""
---
name: listen_sockets
short_description: Addresses and ports of nginx's listen directives
version_added: 0.1.0
description:
  - Writes each as the kernel's own tools do. A Unix socket is left out.
options:
  _input:
    description: What follows C(listen), once an address.
    type: list
    elements: str
    required: true
author:
  - The ObsCraft authors (@obscraft)
"""

EXAMPLES = r"""
- name: Show the sockets
  ansible.builtin.debug:
    msg: "{{ ['80', '192.0.2.100', '[::]:8080 ipv6only=on'] | obscraft.fleet.listen_sockets }}"
"""

RETURN = r"""
_value:
  description: Address and port, each pair once, in the order of the directives; C(0.0.0.0) is every address of IPv4.
  type: list
  elements: str
"""

from collections.abc import Callable, Iterable
from typing import Any

from ansible_collections.obscraft.fleet.plugins.filter.listen_ports import listen_ports

#: What nginx listens on where a directive names a port alone.
EVERY_ADDRESS = "0.0.0.0"  # noqa: S104  # compared, not bound


def listen_sockets(directives: Iterable[object]) -> list[str]:
    """Return C(address:port), each once."""
    found = []
    for directive in directives:
        for port in listen_ports([directive]):
            word = str(directive).split(maxsplit=1)[0]
            end = f":{port}"
            address = EVERY_ADDRESS if word == str(port) else word[: -len(end)] if word.endswith(end) else word
            found.append(address + end)
    return list(dict.fromkeys(found))


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"listen_sockets": listen_sockets}
