#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
---
module: kafka_storage_info
short_description: Read what Kafka's storage directories are formatted for
version_added: 0.1.0
description:
  - Reads C(meta.properties) in each log directory. It changes nothing.
  - C(kafka-storage info) is not used, because it exits with 1 for every kind of problem.
options:
  log_dirs:
    description: The directories of C(log.dirs) and C(metadata.log.dir).
    type: list
    elements: path
    required: true
  partition_dirs:
    description: Those of them that are in C(log.dirs) of a broker, where Kafka accepts no directory but partitions.
    type: list
    elements: path
    default: []
  cluster_id_file:
    description: File in which the node's cluster id is kept apart from the storage.
    type: path
    required: true
author:
  - The ObsCraft authors (@obscraft)
attributes:
  check_mode:
    support: full
    description: Reads only.
"""

EXAMPLES = r"""
- name: Read the storage
  obscraft.fleet.kafka_storage_info:
    log_dirs: [/var/lib/kafka]
    partition_dirs: [/var/lib/kafka]
    cluster_id_file: /etc/kafka/cluster.id
  register: storage
"""

RETURN = r"""
formatted:
  description: Whether any of the directories holds a meta.properties.
  type: bool
  returned: always
cluster_ids:
  description: The cluster ids found, sorted. More than one is a fault.
  type: list
  elements: str
  returned: always
known_cluster_id:
  description: The cluster that the node belongs to although its storage may be gone; empty where none is known.
  type: str
  returned: always
node_ids:
  description: The node ids found, sorted. More than one is a fault.
  type: list
  elements: int
  returned: always
has_lived:
  description: Whether a node ran on this storage, which leaves logs beside meta.properties.
  type: bool
  returned: always
unformatted_dirs:
  description: Directories without meta.properties.
  type: list
  elements: str
  returned: always
foreign_dirs:
  description: Directories beside the partitions with which a broker does not start, such as C(lost+found).
  type: list
  elements: str
  returned: always
candidate_id:
  description: A new random cluster id, for the case that no node of the cluster is formatted.
  type: str
  returned: always
"""

import base64
import os
import re
import uuid

from ansible.module_utils.basic import AnsibleModule


# What Kafka's UnifiedLog.parseTopicPartitionName accepts, and the one name that it skips.
PARTITION = re.compile(r"^.+-\d+$|^\S+-\d+\.\S+-(delete|future|stray)$")
SKIPPED = "remote-log-index-cache"


def read_properties(path):
    """Return the key=value pairs of a properties file, or None where there is no file."""
    if not os.path.exists(path):
        return None
    with open(path) as lines:
        pairs = [line.strip().split("=", 1) for line in lines if "=" in line and not line.startswith("#")]
    return dict((key.strip(), value.strip()) for key, value in pairs)


def new_cluster_id():
    """Return 128 random bits as Kafka writes them; never with a leading dash, which tools take for an option."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode("ascii").rstrip("=")
        if not text.startswith("-"):
            return text


def read_id(path):
    """Return the cluster id of a file, empty where there is no file."""
    if not os.path.exists(path):
        return ""
    with open(path) as text:
        return text.read().strip()


def directories(path):
    """Return the names of the directories in a directory, sorted; none where it is missing."""
    names = os.listdir(path) if os.path.isdir(path) else []
    return sorted(name for name in names if os.path.isdir(os.path.join(path, name)))


def look(log_dirs, cluster_id_file, partition_dirs=()):
    """Return what the directories and the file beside them hold."""
    found = dict((d, read_properties(os.path.join(d, "meta.properties"))) for d in log_dirs)
    metas = [meta for meta in found.values() if meta is not None]
    foreign = [
        os.path.join(d, name)
        for d in partition_dirs
        for name in directories(d)
        if name != SKIPPED and not PARTITION.match(name)
    ]
    return {
        "formatted": bool(metas),
        "cluster_ids": sorted(set(meta.get("cluster.id", "") for meta in metas)),
        "known_cluster_id": read_id(cluster_id_file),
        "node_ids": sorted(set(int(meta["node.id"]) for meta in metas if "node.id" in meta)),
        "has_lived": any(name != "lost+found" for d in log_dirs for name in directories(d)),
        "foreign_dirs": foreign,
        "unformatted_dirs": sorted(d for d, meta in found.items() if meta is None),
    }


def main():
    module = AnsibleModule(
        argument_spec={
            "log_dirs": {"type": "list", "elements": "path", "required": True},
            "partition_dirs": {"type": "list", "elements": "path", "default": []},
            "cluster_id_file": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    try:
        state = look(*(module.params[name] for name in ("log_dirs", "cluster_id_file", "partition_dirs")))
    except (OSError, IOError, ValueError) as error:
        module.fail_json(msg="cannot read the storage: %s" % error)
    module.exit_json(changed=False, candidate_id=new_cluster_id(), **state)


if __name__ == "__main__":
    main()
