#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
---
module: kafka_topics
short_description: Create Kafka topics, raise their partitions, set their configs
version_added: 0.1.0
description:
  - Speaks Kafka's protocol itself, so that it needs neither Java nor a client library on the host.
  - What cannot be changed in place (fewer partitions, another replication factor) is left as it is, with a warning.
options:
  topics:
    description: The topics that must exist. Others are left alone.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the topic.
        type: str
        required: true
      partitions:
        description: Number of partitions.
        type: int
        required: true
      replication_factor:
        description: Number of copies of each partition.
        type: int
        required: true
      configs:
        description: Configs that are set on the topic itself, name to value.
        type: dict
        default: {}
extends_documentation_fragment: obscraft.fleet.kafka
author:
  - The ObsCraft authors (@obscraft)
attributes:
  check_mode:
    support: full
    description: Asks only. Where no broker answers yet (a bare host), the task is skipped with that reason.
  diff_mode:
    support: full
    description: Shows each topic before and after.
"""

EXAMPLES = r"""
- name: Topics
  obscraft.fleet.kafka_topics:
    bootstrap: ["192.168.100.150:9092"]
    topics:
      - name: nginxlog
        partitions: 6
        replication_factor: 3
        configs:
          min.insync.replicas: 2
"""

RETURN = r"""
created:
  description: Names of the topics that were created.
  type: list
  elements: str
  returned: success
raised:
  description: Topic to its new number of partitions.
  type: dict
  returned: success
configured:
  description: Topic to the configs that were set.
  type: dict
  returned: success
differences:
  description: What differs and cannot be changed in place, one message each.
  type: list
  elements: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.obscraft.fleet.plugins.module_utils import kafka_options
from ansible_collections.obscraft.fleet.plugins.module_utils import kafka_wire as wire
from ansible_collections.obscraft.fleet.plugins.module_utils.kafka_settle import REQUEST_TIMEOUT, settled


def config_text(value):
    """Return a config's value as Kafka holds it: YAML's true is 'true', not 'True'."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def plan(topics, existing, configs):
    """Compare the wanted topics with the cluster's; pure.

    Args:
        topics: the wanted topics, configs already text.
        existing: topic to its partitions, of :func:`wire.metadata`.
        configs: topic to {key: (value, is_set_on_the_topic)}.

    Returns:
        dict: create (list of topics), raise (name to count), configure (name to {key: value}), differences (list).
    """
    result = {"create": [], "raise": {}, "configure": {}, "differences": []}
    for topic in topics:
        name = topic["name"]
        if name not in existing:
            result["create"].append(topic)
            continue
        partitions = existing[name]
        if len(partitions) < topic["partitions"]:
            result["raise"][name] = topic["partitions"]
        elif len(partitions) > topic["partitions"]:
            result["differences"].append(
                "%s has %d partitions, %d are listed: Kafka cannot remove partitions"
                % (name, len(partitions), topic["partitions"])
            )
        factors = sorted(set(len(p["replicas"]) for p in partitions))
        if factors != [topic["replication_factor"]]:
            result["differences"].append(
                "%s has replication factor %s, %d is listed: change it with `kafka-cli reassign`"
                % (name, "/".join(str(f) for f in factors), topic["replication_factor"])
            )
        # A value that only comes from the brokers' default counts as missing: from 4.1 on it may be removed.
        wrong = dict(
            (key, value)
            for key, value in topic["configs"].items()
            if configs.get(name, {}).get(key) != (value, True)
        )
        if wrong:
            result["configure"][name] = wrong
    return result


def look(bootstrap, topics, tls=None):
    """Return (existing topics, their configs) from the cluster."""
    existing = wire.metadata(bootstrap, REQUEST_TIMEOUT, tls)["topics"]
    keys = set(key for topic in topics for key in topic["configs"])
    present = [topic["name"] for topic in topics if topic["name"] in existing]
    configs = wire.topic_configs(bootstrap, present, keys, REQUEST_TIMEOUT, tls) if present and keys else {}
    return existing, configs


def apply(bootstrap, todo, tls=None):
    """Make the plan true."""
    if todo["create"]:
        wire.create_topics(bootstrap, todo["create"], REQUEST_TIMEOUT, tls)
    if todo["raise"]:
        wire.create_partitions(bootstrap, todo["raise"], REQUEST_TIMEOUT, tls)
    if todo["configure"]:
        wire.set_topic_configs(bootstrap, todo["configure"], REQUEST_TIMEOUT, tls)


def settle(module):
    """Look, change and return (first look, what was done)."""
    bootstrap, topics, tls = [module.params[name] for name in ("bootstrap", "topics", "tls")]
    seen = look(bootstrap, topics, tls)
    todo = plan(topics, *seen)
    if not module.check_mode:
        apply(bootstrap, todo, tls)
    return seen, todo


def describe(topics, existing, configs):
    """Return the topics as lines for a diff."""
    lines = []
    for topic in topics:
        partitions = existing.get(topic["name"])
        if partitions is None:
            continue
        known = configs.get(topic["name"], {})
        text = ["%s=%s" % (key, known[key][0]) for key in sorted(topic["configs"]) if key in known and known[key][1]]
        copies = len(partitions[0]["replicas"]) if partitions else 0
        lines.append("%s partitions=%d copies=%d %s\n" % (topic["name"], len(partitions), copies, " ".join(text)))
    return "".join(lines)


def wished(topics, existing):
    """Return the topics as they are after the plan, as lines for a diff."""
    lines = []
    for topic in topics:
        name = topic["name"]
        have = existing.get(name)
        count = max(topic["partitions"], len(have or []))
        copies = len(have[0]["replicas"]) if have else topic["replication_factor"]
        text = ["%s=%s" % pair for pair in sorted(topic["configs"].items())]
        lines.append("%s partitions=%d copies=%d %s\n" % (name, count, copies, " ".join(text)))
    return "".join(lines)


def main():
    module = AnsibleModule(
        argument_spec=dict(
            kafka_options.SHARED,
            topics={
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "partitions": {"type": "int", "required": True},
                    "replication_factor": {"type": "int", "required": True},
                    "configs": {"type": "dict", "default": {}},
                },
            },
        ),
        supports_check_mode=True,
    )
    topics = module.params["topics"]
    for topic in topics:
        topic["configs"] = dict((key, config_text(value)) for key, value in topic["configs"].items())
    (existing, configs), todo = settled(module, "topics", lambda: settle(module))
    for difference in todo["differences"]:
        module.warn(difference)
    module.exit_json(
        changed=bool(todo["create"] or todo["raise"] or todo["configure"]),
        created=[topic["name"] for topic in todo["create"]],
        raised=todo["raise"],
        configured=todo["configure"],
        differences=todo["differences"],
        diff={"before": describe(topics, existing, configs), "after": wished(topics, existing)},
    )


if __name__ == "__main__":
    main()
