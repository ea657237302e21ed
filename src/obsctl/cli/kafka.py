"""``obsctl kafka``: the cluster's brokers, quorum, partitions, replicas and groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from obsctl.cli.commands import CheckCommand, examples, group
from obsctl.core.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from obsctl.checks.kafka.snapshot import KafkaSnapshot
    from obsctl.cli.checking import Check
    from obsctl.fleet.model import Fleet

kafka = group(
    "kafka",
    help="Brokers, quorum, partitions, replicas, groups: see what the cluster can still lose.",
    epilog=examples("obsctl kafka status", "obsctl kafka partitions --topic nginxlog"),
)


def cluster_check() -> Check[KafkaSnapshot]:
    """Return the check of the whole cluster."""
    from obsctl.checks.kafka.collect import collect_cluster
    from obsctl.checks.kafka.judge import CLUSTER_LAYOUTS, describe_cluster, judge_cluster
    from obsctl.checks.kafka.snapshot import KafkaSnapshot
    from obsctl.cli.checking import Check

    return Check("kafka status", KafkaSnapshot, collect_cluster, judge_cluster, describe_cluster, CLUSTER_LAYOUTS)


def partitions_check(topics: Sequence[str] = ()) -> Check[KafkaSnapshot]:
    """Return the check of the partitions, which shows these topics only (all without any) and judges all."""
    from obsctl.checks.kafka.collect import collect_partitions
    from obsctl.checks.kafka.judge import PARTITIONS_LAYOUTS, describe_partitions, judge_partitions
    from obsctl.checks.kafka.snapshot import KafkaSnapshot
    from obsctl.cli.checking import Check

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


@kafka.command(
    "status",
    cls=CheckCommand,
    epilog=examples("obsctl kafka status", "obsctl kafka status --watch 2 --until ok", "obsctl kafka status -o nagios"),
)
def status(ctx: typer.Context) -> ExitCode:
    """Check brokers, controller quorum, partitions, disks and groups.

    Every broker is asked in person and at the same time, with a deadline of its own: a dead or hung one costs its
    own row only.
    """
    from obsctl.cli.checking import run_check

    return run_check(ctx, cluster_check())


@kafka.command(
    "partitions",
    cls=CheckCommand,
    epilog=examples("obsctl kafka partitions", "obsctl kafka partitions --topic nginxlog -o json"),
)
def partitions(
    ctx: typer.Context,
    topic: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Show this topic only; may be given several times.")
    ] = None,
) -> ExitCode:
    """Show leader, ISR, offsets and the log end of every replica of each partition.

    START is the first offset kept, LSO the last stable one, HW the high watermark (what consumers may read), LEO the
    log end offset of each replica (broker:offset), LAG how many records the slowest replica that answered is behind
    its leader. A leader's LEO running away from HW is the early sign of a replica that hangs.
    """
    from obsctl.cli.checking import run_check

    return run_check(ctx, partitions_check(topic or ()))
