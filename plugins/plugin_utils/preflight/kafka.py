# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""Kafka: node ids, copies, topics, Java, disks and what lies on them."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.model import (
    Fleet,
    Problem,
    Variables,
    value_at,
)
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.values import SHOWN

GIB = 1024**3
#: Share of a filesystem that records may fill; the rest is for the active segments and for compaction.
DISK_SHARE = 0.85
#: Kafka's own message.max.bytes.
BROKER_MESSAGE_BYTES = 1048588
#: Kafka's form of a topic's name.
TOPIC_NAME = re.compile(r"[A-Za-z0-9._-]{1,249}\Z")
#: Properties of brokers and topics that are whole numbers.
WHOLE = (
    "min.insync.replicas",
    "max.message.bytes",
    "message.max.bytes",
    "log.retention.hours",
    "log.retention.bytes",
    "log.segment.bytes",
    "retention.ms",
    "retention.bytes",
    "segment.bytes",
    "segment.ms",
    "num.partitions",
    "default.replication.factor",
)
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
#: What topics are for, by the keys of fleet_topics.
USES = ("access", "error", "dlq", "alert_state", "alert_silences", "alert_history")
#: Kafka's own bound on the partitions that one request makes.
PARTITIONS_MAX = 10_000


def _has_role(variables: Variables, role: str) -> bool:
    return role in (variables.get("kafka_process_roles") or ["broker", "controller"])


def _brokers(fleet: Fleet) -> list[tuple[str, Variables]]:
    return [(host, variables) for host, variables in fleet.group("kafka") if _has_role(variables, "broker")]


def _properties(variables: Variables) -> Mapping[str, Any]:
    return variables.get("kafka_properties") or {}


def _whole(value: Any) -> int | None:
    """Return a property's whole number, None where it is none."""
    return int(value) if re.fullmatch(r"\s*-?\d+\s*", str(value)) else None


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
    nodes, brokers = fleet.group("kafka"), _brokers(fleet)
    if nodes and not any(_has_role(variables, "controller") for _host, variables in nodes):
        yield Problem("fleet", "no Kafka host is a controller", "add controller to a host's kafka_process_roles")
    for host, variables in nodes:
        factor = int(variables.get("kafka_replication_factor", 3))
        minimum = int(variables.get("kafka_min_insync_replicas", 2))
        if factor > len(brokers):
            yield Problem(
                host,
                f"kafka_replication_factor is {factor}, but there are {len(brokers)} brokers",
                f"add brokers, or set kafka_replication_factor to at most {len(brokers)}",
            )
        tight = [("kafka_min_insync_replicas", minimum)]
        for topic in variables.get("kafka_topics") or []:
            own = _whole((topic.get("configs") or {}).get("min.insync.replicas"))
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
        for name in map(str, _properties(variables)):
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


def topics(fleet: Fleet) -> Iterator[Problem]:
    """The topics that the role creates can be created, and Kafka's own numbers are some."""
    for host, variables in fleet.group("kafka"):
        wanted = variables.get("kafka_topics") or []
        counts = Counter(str(topic.get("name")) for topic in wanted)
        for name, times in counts.items():
            if times > 1:
                yield Problem(host, f"kafka_topics has {name} {times} times", "remove all but one of them")
            if not TOPIC_NAME.match(name) or name in (".", ".."):
                shown = repr(name) if len(name) <= 40 else f"a name of {len(name)} characters"
                yield Problem(
                    host,
                    f"kafka_topics has {shown}, which Kafka does not take as a topic's name",
                    "use at most 249 letters, digits, dots, dashes and underscores",
                )
        for one, other in _colliding(counts):
            yield Problem(
                host,
                f"kafka_topics has {one} and {other}: Kafka refuses the second, because its metrics write dots as "
                "underscores",
                "rename one of them, so that they differ in more than . and _",
            )
        given = [(f"{name} of kafka_properties", name, value) for name, value in _properties(variables).items()]
        for topic in wanted:
            configs = (topic.get("configs") or {}).items()
            given += [(f"{name} of topic {topic.get('name')}", name, value) for name, value in configs]
        for what, name, value in given:
            if name in WHOLE and value is not None and _whole(value) is None:
                yield Problem(host, f"{what} is {value!r}, not a whole number", "set it to a whole number")
        for topic in wanted:
            partitions = topic.get("partitions")
            if partitions is not None and not 1 <= int(partitions) <= PARTITIONS_MAX:
                yield Problem(
                    host,
                    f"partitions of topic {topic.get('name')} is {partitions}, not between 1 and {PARTITIONS_MAX}",
                    "set it to a number in that range",
                )


def _colliding(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield pairs of topics' names that differ, but only by dots and underscores."""
    first: dict[str, str] = {}
    for name in names:
        one = first.setdefault(name.replace(".", "_"), name)
        if one != name:
            yield one, name


def topic_uses(fleet: Fleet) -> Iterator[Problem]:
    """Each use has a topic: an inventory that overrides fleet_topics replaces all of them."""
    for host, variables in fleet.group("kafka"):
        uses = variables.get("fleet_topics")
        missing = [use for use in USES if not ((uses or {}).get(use) or {}).get("name")]
        if uses is not None and missing:
            yield Problem(
                host,
                f"fleet_topics names no topic for {', '.join(missing)}",
                f"add {', '.join(missing)} as in roles/fleet_topics/defaults/main.yml (name, partitions and configs), "
                "or leave fleet_topics out for the default",
            )


#: Topics of which only the latest record of each key counts, and what would be lost otherwise.
_COMPACTED = {"alert_state": "the alerters' state", "alert_silences": "the silences"}


def topics_of_alerters(fleet: Fleet) -> Iterator[Problem]:
    """The state is one partition, whose holder is the active alerter; it and the silences are kept however old."""
    for host, variables in fleet.group("kafka"):
        for use, what in _COMPACTED.items():
            topic = (variables.get("fleet_topics") or {}).get(use) or {}
            if not isinstance(topic, dict) or not topic.get("name"):
                continue
            if use == "alert_state" and topic.get("partitions") != 1:
                yield Problem(
                    host,
                    f"fleet_topics.{use} has {topic.get('partitions')} partitions, and the alerters need exactly one",
                    f"set fleet_topics.{use}.partitions to 1",
                )
            if "compact" not in str((topic.get("configs") or {}).get("cleanup.policy")):
                yield Problem(
                    host,
                    f"fleet_topics.{use} has no cleanup.policy compact: {what} would be lost with the retention",
                    f"set fleet_topics.{use}.configs to {{cleanup.policy: compact}}",
                )


def topics_exist(fleet: Fleet) -> Iterator[Problem]:
    made = {topic.get("name") for _host, v in fleet.group("kafka") for topic in v.get("kafka_topics") or []}
    used = [("filebeat", "filebeat_topic_access"), ("filebeat", "filebeat_topic_error")]
    used += [("consumer", f"consumer_topics.{use}") for use in ("access", "error", "dlq")]
    used += [("consumer", f"consumer_{use}_topic") for use in ("alert_state", "alert_silences", "alert_history")]
    for group, variable in used:
        for host, variables in fleet.group(group):
            topic = value_at(variables, variable)
            if topic and made and topic not in made:
                yield Problem(
                    host,
                    f"{variable} is {topic}, a topic that is not in kafka_topics: nothing creates it",
                    f"add {topic} to kafka_topics, or name one that is there: {', '.join(sorted(map(str, made)))}",
                )


def message_sizes(fleet: Fleet) -> Iterator[Problem]:
    limits = []
    for host, variables in fleet.group("kafka"):
        own = _whole(_properties(variables).get("message.max.bytes"))
        limits.append((BROKER_MESSAGE_BYTES if own is None else own, "message.max.bytes", host))
        for topic in variables.get("kafka_topics") or []:
            bound = _whole((topic.get("configs") or {}).get("max.message.bytes"))
            if bound is not None:
                limits.append((bound, f"max.message.bytes of {topic.get('name')}", host))
    limit, name, broker = min(limits, default=(0, "", ""))
    for host, variables in fleet.group("filebeat"):
        largest = int(variables.get("filebeat_max_message_bytes", 0))
        if limit and largest > limit:
            yield Problem(
                host,
                f"filebeat_max_message_bytes is {largest}, but {name} is {limit} on {broker}: a larger event is lost",
                f"set filebeat_max_message_bytes to at most {limit}, or raise message.max.bytes in kafka_properties",
            )


def listeners(fleet: Fleet) -> Iterator[Problem]:
    """Shippers, consumer and obsctl speak to the brokers in clear, on kafka_broker_port."""
    for host, variables in _brokers(fleet):
        given, port = _properties(variables).get("listeners"), str(variables.get("kafka_broker_port") or 9092)
        if not given:
            continue
        protocols = _pairs(str(_properties(variables).get("listener.security.protocol.map") or ""), ":")
        ends = [entry.partition("://") for entry in str(given).split(",")]
        plain = any(
            protocols.get(name.strip(), name.strip()) == "PLAINTEXT" and end.rpartition(":")[2].strip() == port
            for name, _separator, end in ends
        )
        if not plain:
            yield Problem(
                host,
                f"kafka_properties sets listeners to {given}: the shippers, the consumer and obsctl speak to port "
                f"{port} without TLS",
                f"keep PLAINTEXT://:{port} among the listeners; one with TLS may stand beside it, on another port",
            )


def _pairs(text: str, separator: str) -> dict[str, str]:
    """Return the pairs of a list such as ``A:B,C:D``."""
    pairs = [entry.partition(separator) for entry in text.split(",")]
    return {name.strip(): value.strip() for name, _separator, value in pairs if value}


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


def disks(fleet: Fleet) -> Iterator[Problem]:
    nodes = _brokers(fleet)
    for host, variables in nodes:
        sizes = fleet.look(host).disks
        path = variables.get("kafka_data_dir", "")
        per_day = float(variables.get("kafka_expected_gib_per_day", 0))
        if path not in sizes:
            continue
        days = float(variables.get("kafka_retention_hours", 168)) / 24
        copies = min(int(variables.get("kafka_replication_factor", 3)), len(nodes))
        needed = days * per_day * copies / len(nodes) * GIB
        if needed > sizes[path] * DISK_SHARE:
            yield Problem(
                host,
                f"{path} has room for {sizes[path] / GIB:.0f} GiB, but {days:.0f} days of {per_day:g} GiB with "
                f"{copies} copies over {len(nodes)} brokers need {needed / GIB / DISK_SHARE:.0f}",
                "give it a larger disk, or lower kafka_retention_hours",
            )
        segment = int(variables.get("kafka_segment_bytes") or 0)
        if segment > sizes[path] * DISK_SHARE:
            yield Problem(
                host,
                f"kafka_segment_bytes is {segment}, but {path} has room for {sizes[path]} bytes: one segment fills the "
                "disk",
                "lower kafka_segment_bytes, or give it a larger disk",
            )


def foreign_directories(fleet: Fleet) -> Iterator[Problem]:
    """A broker takes each directory among its data for a partition, and does not start where one is not."""
    for host, _variables in _brokers(fleet):
        look = fleet.look(host)
        for path in look.foreign_directories:
            parent, _slash, name = path.rpartition("/")
            # On a node that has data, another directory would be an empty one.
            if look.kafka_is_formatted:
                fix = "move it to another place before Kafka restarts"
                fix += f": `rmdir {path}`, which removes an empty one" if name == "lost+found" else ""
            else:
                fix = f"give Kafka a directory of its own below it: kafka_data_dir: {parent}/data"
            yield Problem(
                host, f"{path} is no partition: Kafka does not start with such a directory among its data", fix
            )
