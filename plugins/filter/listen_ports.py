# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""The ports in nginx's listen directives, for all that must know them."""

from __future__ import annotations

DOCUMENTATION = r"""
---
name: listen_ports
short_description: The TCP ports of nginx's listen directives
version_added: 0.1.0
description:
  - The firewall, and the checks that ask through the virtual address, use the ports that nginx has.
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
- name: Show the ports
  ansible.builtin.debug:
    msg: "{{ ['80', '[::]:8080 ipv6only=on'] | obscraft.fleet.listen_ports }}"
"""

RETURN = r"""
_value:
  description: The ports, each once, in the order of the directives.
  type: list
  elements: int
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

#: An address without a port means 80; a Unix socket has none.
PORT = re.compile(r"^(?:(?:\[[^\]]*\]|[^:\s]+):)?(\d+)$")


def listen_ports(directives: Iterable[object]) -> list[int]:
    """Return the ports, each once."""
    addresses = [str(directive).split()[0] for directive in directives]
    found = [PORT.match(address) for address in addresses if not address.startswith("unix:")]
    return list(dict.fromkeys(int(match.group(1)) if match else 80 for match in found))


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"listen_ports": listen_ports}
