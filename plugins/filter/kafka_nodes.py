# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""The Kafka cluster's nodes as the inventory describes them."""

from __future__ import annotations

DOCUMENTATION = r"""
---
name: kafka_nodes
short_description: The nodes of a Kafka cluster, from their hosts' variables
version_added: 0.1.0
description:
  - Another host's role defaults are not visible in C(hostvars), so the filter fills them in.
options:
  _input:
    description: The variables of each host of the cluster.
    type: list
    elements: dict
    required: true
author:
  - The ObsCraft authors (@obscraft)
"""

EXAMPLES = r"""
- name: Show the nodes
  ansible.builtin.debug:
    msg: "{{ groups['kafka'] | map('extract', hostvars) | obscraft.fleet.kafka_nodes }}"
"""

RETURN = r"""
_value:
  description: C(host), C(id), C(address), C(broker), C(controller) and C(stage) (C(kafka_tls_stage)) of each node.
    C(listener) is C(address:port) of the broker without TLS, C(tls_listener) (C(SSL://address:port)) the one for
    brokers with TLS, C(inner_listener) the one of these two that brokers use among each other,
    C(client_listener) the one that clients use. By id.
  type: list
  elements: dict
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any


def kafka_nodes(hosts: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the nodes, sorted by id.

    Raises:
        KeyError: a host has no ``kafka_node_id``.
    """
    nodes: list[dict[str, Any]] = []
    for variables in hosts:
        host = variables["inventory_hostname"]
        roles = variables.get("kafka_process_roles", ["broker", "controller"])
        address = variables.get("kafka_advertised_host") or variables.get("ansible_host") or host
        port = variables.get("kafka_broker_port") or 9092
        stage = variables.get("kafka_tls_stage") or ("tls" if _true(variables.get("fleet_tls")) else "clear")
        clear, encrypted = f"{address}:{port}", f"SSL://{address}:{variables.get('kafka_tls_broker_port') or 9095}"
        client_port = port if stage == "clear" else variables.get("kafka_tls_port") or 9094
        nodes.append(
            {
                "host": host,
                "id": int(variables["kafka_node_id"]),
                "address": address,
                "stage": stage,
                "listener": clear,
                "tls_listener": encrypted,
                "inner_listener": encrypted if stage in ("move", "tls") else clear,
                "client_listener": f"{address}:{variables.get('kafka_client_port') or client_port}",
                "broker": "broker" in roles,
                "controller": "controller" in roles,
            }
        )
    return sorted(nodes, key=lambda node: int(node["id"]))


def _true(value: object) -> bool:
    """Return whether a variable is true, given as YAML or on the command line."""
    return str(value).lower() in ("true", "yes", "on", "1")


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"kafka_nodes": kafka_nodes}
