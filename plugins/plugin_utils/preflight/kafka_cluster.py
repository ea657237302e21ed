# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""Kafka's nodes as one cluster: ids, roles, copies, the properties that the role owns, Java."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.kafka_node import (
    brokers,
    given_properties,
    has_role,
    whole,
)
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.model import Fleet, Problem
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.values import SHOWN

#: Properties that the role makes of a variable which other tasks and rules read, and that variable.
OWNED = {
    "node.id": "kafka_node_id",
    "broker.id": "kafka_node_id",
    "process.roles": "kafka_process_roles",
    "controller.quorum.voters": "kafka_node_id, kafka_process_roles and kafka_controller_port",
    "controller.listener.names": "kafka_process_roles",
    "broker.rack": "kafka_rack",
    "default.replication.factor": "kafka_replication_factor",
    "min.insync.replicas": "kafka_min_insync_replicas",
    "log.segment.bytes": "kafka_segment_bytes",
    # A name of log.dirs that Kafka does not read where that one is set, which the role does.
    "log.dir": "kafka_data_dir",
}
#: Properties of the mode with ZooKeeper, with which a node of a quorum does not start.
ZOOKEEPER = re.compile(r"zookeeper\.")
PROPERTY = re.compile(r"[A-Za-z0-9_.-]+\Z")


def node_ids(fleet: Fleet) -> Iterator[Problem]:
    by_id = defaultdict(list)
    for host, variables in fleet.group("kafka"):
        if variables.get("kafka_node_id") is not None:
            by_id[int(variables["kafka_node_id"])].append(host)
    for node_id, hosts in by_id.items():
        if len(hosts) > 1:
            yield Problem(
                ", ".join(hosts),
                f"share kafka_node_id {node_id}",
                "give each Kafka host its own kafka_node_id, as a host variable",
            )


def replication(fleet: Fleet) -> Iterator[Problem]:
    nodes, count = fleet.group("kafka"), len(brokers(fleet))
    if nodes and not any(has_role(variables, "controller") for _host, variables in nodes):
        yield Problem("fleet", "no Kafka host is a controller", "add controller to a host's kafka_process_roles")
    for host, variables in nodes:
        factor = int(variables.get("kafka_replication_factor", 3))
        minimum = int(variables.get("kafka_min_insync_replicas", 2))
        if factor > count:
            yield Problem(
                host,
                f"kafka_replication_factor is {factor}, but there are {count} brokers",
                f"add brokers, or set kafka_replication_factor to at most {count}",
            )
        tight = [("kafka_min_insync_replicas", minimum)]
        for topic in variables.get("kafka_topics") or []:
            own = whole((topic.get("configs") or {}).get("min.insync.replicas"))
            if own is not None:
                tight.append((f"min.insync.replicas of topic {topic.get('name')}", own))
        for name, value in tight:
            # One broker with one copy has nothing to lose by a restart that it would not lose anyway.
            if value >= factor and not value == factor == 1:
                yield Problem(
                    host,
                    f"{name} is {value} with replication factor {factor}: one stopped broker stops all writers",
                    f"set it below {factor}, or raise kafka_replication_factor",
                )


def properties(fleet: Fleet) -> Iterator[Problem]:
    """What kafka_properties cannot say, because the role says it or Kafka does not read it."""
    for host, variables in fleet.group("kafka"):
        for name in map(str, given_properties(variables)):
            if name in OWNED:
                yield Problem(
                    host,
                    f"kafka_properties has {name}, which the role computes",
                    f"remove it there, and set {OWNED[name]}",
                )
            elif ZOOKEEPER.match(name):
                yield Problem(
                    host, f"kafka_properties has {name}, but the cluster has no ZooKeeper (KRaft mode)", "remove it"
                )
            elif not PROPERTY.match(name):
                yield Problem(
                    host,
                    f"kafka_properties has {name[:SHOWN]!r}, which is no name of a property",
                    "write the name alone before the colon, such as log.dirs: /data",
                )


def java_for_kafka(fleet: Fleet) -> Iterator[Problem]:
    for host, variables in fleet.group("kafka"):
        version = str(variables.get("kafka_version", ""))
        major = re.match(r"\d+", version)
        if major is None:
            continue
        needed = 17 if int(major.group()) >= 4 else 11
        own_java = variables.get("kafka_java", "/usr/bin/java") != "/usr/bin/java"
        seen = fleet.look(host).java
        java = int(seen) if own_java and seen.isdigit() else int(variables.get("java_version", 17))
        if java < needed:
            name = "kafka_java" if own_java and seen.isdigit() else "java_version"
            yield Problem(
                host,
                f"Kafka {version} needs Java {needed} or newer, {name} gives {java}",
                f"set java_version to {needed} or newer, or kafka_version to an older release",
            )
