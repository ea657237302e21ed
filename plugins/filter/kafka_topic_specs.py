# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""Topics as the inventory names them, completed to what the cluster must have."""

from __future__ import annotations

DOCUMENTATION = r"""
---
name: kafka_topic_specs
short_description: Complete a list of topics with copies and min ISR
version_added: 0.1.0
description:
  - C(min.insync.replicas) is always set on the topic itself, because from Kafka 4.1 on the brokers' default may
    be removed.
options:
  _input:
    description: Topics with C(name), C(partitions) and, where wanted, C(configs).
    type: list
    elements: dict
    required: true
  replication_factor:
    description: Number of copies.
    type: int
    required: true
  min_insync_replicas:
    description: The min ISR of topics that set none themselves.
    type: int
    required: true
author:
  - The ObsCraft authors (@obscraft)
"""

EXAMPLES = r"""
- name: Show the topics
  ansible.builtin.debug:
    msg: "{{ kafka_topics | obscraft.fleet.kafka_topic_specs(3, 2) }}"
"""

RETURN = r"""
_value:
  description: The topics as M(obscraft.fleet.kafka_topics) takes them.
  type: list
  elements: dict
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any


def kafka_topic_specs(
    topics: Iterable[Mapping[str, Any]], replication_factor: int | str, min_insync_replicas: int | str
) -> list[dict[str, Any]]:
    """Return the topics with ``replication_factor`` and ``min.insync.replicas``; a topic's own configs win."""
    return [
        {
            "name": topic["name"],
            "partitions": topic["partitions"],
            "replication_factor": int(replication_factor),
            "configs": {"min.insync.replicas": int(min_insync_replicas), **(topic.get("configs") or {})},
        }
        for topic in topics
    ]


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"kafka_topic_specs": kafka_topic_specs}
