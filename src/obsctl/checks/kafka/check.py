"""The checks ``kafka status`` and ``kafka partitions``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from obsctl.checks.check import Check
from obsctl.checks.kafka.collect import collect_cluster, collect_partitions
from obsctl.checks.kafka.judge import describe_cluster, describe_partitions, judge_cluster, judge_partitions
from obsctl.checks.kafka.snapshot import KafkaSnapshot
from obsctl.checks.kafka.tables import CLUSTER_LAYOUTS, PARTITIONS_LAYOUTS
from obsctl.core.errors import UsageError
from obsctl.fleet.model import Fleet


def cluster_check() -> Check[KafkaSnapshot]:
    """Return the check of the whole cluster."""
    return Check("kafka status", KafkaSnapshot, collect_cluster, judge_cluster, describe_cluster, CLUSTER_LAYOUTS)


def partitions_check(topics: Sequence[str] = ()) -> Check[KafkaSnapshot]:
    """Return the check of the partitions, which shows these topics only (all without any) and judges all."""

    def describe(fleet: Fleet, seen: KafkaSnapshot) -> dict[str, Any]:
        data = describe_partitions(fleet, seen)
        if not topics:
            return data
        known = {partition.topic for partition in seen.partitions}
        unknown = [topic for topic in topics if topic not in known]
        if known and unknown:
            raise UsageError(
                f"the cluster has no topic {', '.join(unknown)}", hint="`obsctl kafka status` lists the topics"
            )
        return {**data, "partitions": [row for row in data["partitions"] if row["topic"] in topics]}

    return Check("kafka partitions", KafkaSnapshot, collect_partitions, judge_partitions, describe, PARTITIONS_LAYOUTS)
