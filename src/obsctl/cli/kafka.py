"""``obsctl kafka``: the cluster's brokers, quorum, partitions, replicas and groups."""

from __future__ import annotations

from typing import Any

import click

from obsctl.checks.kafka.collect import collect_cluster, collect_partitions
from obsctl.checks.kafka.judge import describe_cluster, describe_partitions, judge_cluster, judge_partitions
from obsctl.checks.kafka.snapshot import KafkaSnapshot
from obsctl.cli.checking import Check, check_options, run_check
from obsctl.cli.settings import Group
from obsctl.core.errors import ExitCode

STATUS: Check[KafkaSnapshot] = Check("kafka status", KafkaSnapshot, collect_cluster, judge_cluster, describe_cluster)
PARTITIONS: Check[KafkaSnapshot] = Check(
    "kafka partitions", KafkaSnapshot, collect_partitions, judge_partitions, describe_partitions
)


@click.group(cls=Group)
def kafka() -> None:
    """See what the cluster can still lose."""


@kafka.command("status")
@check_options
@click.pass_context
def status(ctx: click.Context, /, **options: Any) -> ExitCode:
    """Check brokers, controller quorum, partitions, disks and groups.

    Every broker is asked in person and at the same time, with a deadline of its own: a dead or hung one costs its
    own row only.

    \b
    Examples:
      obsctl kafka status
      obsctl kafka status --until ok     after a restart, until the cluster is whole
      obsctl kafka status -o nagios
    """
    return run_check(ctx, STATUS, **options)


@kafka.command("partitions")
@click.option("--topic", "topics", multiple=True, metavar="NAME", help="Show this topic only; may be repeated.")
@check_options
@click.pass_context
def partitions(ctx: click.Context, /, topics: tuple[str, ...], **options: Any) -> ExitCode:
    """Show leader, ISR, offsets and the log end of every replica of each partition.

    START is the first offset kept, LSO the last stable one, HW the high watermark (what consumers may read), LEO the
    log end offset of each replica (broker:offset), LAG how far the slowest replica that answered is behind its leader.
    A leader's LEO running away from HW is the early sign of a replica that hangs.

    \b
    Examples:
      obsctl kafka partitions
      obsctl kafka partitions --topic nginxlog -o json
    """
    return run_check(ctx, _only(topics) if topics else PARTITIONS, **options)


def _only(topics: tuple[str, ...]) -> Check[KafkaSnapshot]:
    from dataclasses import replace

    from obsctl.core.errors import UsageError
    from obsctl.fleet.model import Fleet

    def describe(fleet: Fleet, seen: KafkaSnapshot) -> dict[str, Any]:
        known = {partition.topic for partition in seen.partitions}
        unknown = [topic for topic in topics if topic not in known]
        if known and unknown:
            raise UsageError(
                f"the cluster has no topic {', '.join(unknown)}", hint="`obsctl kafka status` lists the topics"
            )
        data = describe_partitions(fleet, seen)
        return {**data, "partitions": [row for row in data["partitions"] if row["topic"] in topics]}

    return replace(PARTITIONS, describe=describe)
