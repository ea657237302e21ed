# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""Whether an address lies in one of some networks."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable

DOCUMENTATION = r"""
---
name: within
short_description: Whether an address lies in one of some networks
version_added: 0.1.0
description:
  - Takes single addresses for networks of one address.
options:
  _input:
    description: The address.
    type: str
    required: true
  networks:
    description: Addresses or networks (CIDR).
    type: list
    elements: str
    required: true
author:
  - The ObsCraft authors (@obscraft)
"""

EXAMPLES = r"""
- name: The control node may come
  ansible.builtin.assert:
    that: "'198.18.0.1' is obscraft.fleet.within(['198.18.0.0/15'])"
"""

RETURN = r"""
_value:
  description: Whether it does.
  type: bool
"""


def within(address: str, networks: Iterable[str]) -> bool:
    """Return whether the address lies in one of the networks.

    Raises:
        ValueError: the address or a network is not one.
    """
    wanted = ipaddress.ip_address(address)
    return any(wanted in ipaddress.ip_network(network, strict=False) for network in networks)


class TestModule:
    """The test of this file."""

    def tests(self) -> dict[str, Callable[..., bool]]:
        return {"within": within}
