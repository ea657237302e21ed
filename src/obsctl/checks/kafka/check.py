"""The checks of the cluster: ``kafka status``, ``partitions``, ``topics``, ``quorum`` and ``whatif``."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from obsctl.checks.check import Check
from obsctl.checks.kafka.collect import collect_cluster, collect_partitions
from obsctl.checks.kafka.denial import may_be_hidden
from obsctl.checks.kafka.judge import (
    describe_cluster,
    describe_loss,
    describe_partitions,
    describe_quorum,
    describe_topics,
    judge_cluster,
    judge_loss,
    judge_partitions,
    judge_quorum,
    judge_topics,
)
from obsctl.checks.kafka.snapshot import KafkaSnapshot
from obsctl.checks.kafka.tables import (
    CLUSTER_LAYOUTS,
    LOSS_LAYOUTS,
    PARTITIONS_LAYOUTS,
    QUORUM_LAYOUTS,
    TOPICS_LAYOUTS,
)
from obsctl.checks.kafka.view import no_topic
from obsctl.checks.kafka.writes import writes
from obsctl.core.errors import UsageError
from obsctl.core.nearest import did_you_mean
from obsctl.core.report import Finding
from obsctl.fleet.model import Fleet


def cluster_check() -> Check[KafkaSnapshot]:
    """Return the check of the whole cluster."""
    return Check(
        "kafka status", KafkaSnapshot, collect_cluster, judge_cluster, describe_cluster, CLUSTER_LAYOUTS, writes
    )


def partitions_check(topics: Sequence[str] = ()) -> Check[KafkaSnapshot]:
    """Return the check of the partitions, which judges all topics and shows only these (all if none is given)."""

    def describe(fleet: Fleet, seen: KafkaSnapshot) -> dict[str, Any]:
        data = describe_partitions(fleet, seen)
        if not topics:
            return data
        known = {partition.topic for partition in seen.partitions}
        unknown = [topic for topic in topics if topic not in known]
        if known and unknown and not may_be_hidden(seen):
            raise no_topic(unknown, known)
        # If a topic is named, all of it is shown, even one of Kafka's own.
        rows = [{**row, "folded": False} for row in data["partitions"] if row["topic"] in topics]
        return {**data, "partitions": rows, "internal": []}

    return Check(
        "kafka partitions", KafkaSnapshot, collect_partitions, judge_partitions, describe, PARTITIONS_LAYOUTS, writes
    )


def topics_check() -> Check[KafkaSnapshot]:
    """Return the check of the topics."""
    return Check("kafka topics", KafkaSnapshot, collect_cluster, judge_topics, describe_topics, TOPICS_LAYOUTS, writes)


def quorum_check() -> Check[KafkaSnapshot]:
    """Return the check of the controllers."""
    return Check(
        "kafka quorum", KafkaSnapshot, collect_partitions, judge_quorum, describe_quorum, QUORUM_LAYOUTS, writes
    )


def loss_check(nodes: Sequence[str] = ()) -> Check[KafkaSnapshot]:
    """Return the check of what the loss of some nodes would mean; ``nodes`` are ids or hosts in the inventory."""

    def judge(fleet: Fleet, seen: KafkaSnapshot) -> list[Finding]:
        return judge_loss(fleet, seen, _ids(fleet, seen, nodes))

    def describe(fleet: Fleet, seen: KafkaSnapshot) -> dict[str, Any]:
        return describe_loss(fleet, seen, _ids(fleet, seen, nodes))

    return Check(
        "kafka whatif",
        KafkaSnapshot,
        collect_partitions,
        judge,
        describe,
        LOSS_LAYOUTS,
        arguments=f"--lose {shlex.quote(','.join(nodes))}",
    )


def _ids(fleet: Fleet, seen: KafkaSnapshot, nodes: Sequence[str]) -> list[int]:
    known = {host.name: host.kafka.node_id for host in fleet.group("kafka") if host.kafka}
    ids = {*known.values(), *seen.listed}
    unknown = [name for name in nodes if name not in known and not (name.isdecimal() and int(name) in ids)]
    if unknown:
        named = ", ".join(f"{node} ({name})" for name, node in known.items())
        hint = did_you_mean(unknown, known, f"it has {named}")
        raise UsageError(f"the cluster has no node {', '.join(unknown)}", hint=hint)
    return sorted({known[name] if name in known else int(name) for name in nodes})
