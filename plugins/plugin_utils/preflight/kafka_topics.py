# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""Kafka's topics: whether each can be created, exists for its use, and accepts what is written to it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.kafka_node import given_properties, whole
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.model import Fleet, Problem, value_at

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
#: What topics are for, by the keys of fleet_topics.
USES = ("access", "error", "dlq", "alert_state", "alert_silences", "alert_history", "acknowledgements", "canary")
#: Kafka's own bound on the partitions that one request makes.
PARTITIONS_MAX = 10_000
#: Topics of which only the latest record of each key counts, and what would be lost otherwise.
_COMPACTED = {
    "alert_state": "the alerters' state",
    "alert_silences": "the silences",
    "acknowledgements": "what people have acknowledged",
}


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
        given = [(f"{name} of kafka_properties", name, value) for name, value in given_properties(variables).items()]
        for topic in wanted:
            configs = (topic.get("configs") or {}).items()
            given += [(f"{name} of topic {topic.get('name')}", name, value) for name, value in configs]
        for what, name, value in given:
            if name in WHOLE and value is not None and whole(value) is None:
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
    """Each use has a topic: an inventory that sets fleet_topics replaces the whole default."""
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


def topics_of_alerters(fleet: Fleet) -> Iterator[Problem]:
    """The state has one partition, whose owner is the active alerter; what people entered is kept forever."""
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
        own = whole(given_properties(variables).get("message.max.bytes"))
        limits.append((BROKER_MESSAGE_BYTES if own is None else own, "message.max.bytes", host))
        for topic in variables.get("kafka_topics") or []:
            bound = whole((topic.get("configs") or {}).get("max.message.bytes"))
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
