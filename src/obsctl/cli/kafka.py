"""``obsctl kafka``: the cluster's brokers, quorum, partitions, replicas and groups."""

from __future__ import annotations

from typing import Annotated

import typer

from obsctl.cli.commands import CheckCommand, examples, group
from obsctl.core.errors import ExitCode

kafka = group(
    "kafka",
    help="Brokers, quorum, partitions, replicas, groups: see what the cluster can still lose.",
    epilog=examples("obsctl kafka status", "obsctl kafka partitions --topic nginxlog"),
)


@kafka.command(
    "status",
    cls=CheckCommand,
    epilog=examples("obsctl kafka status", "obsctl kafka status --watch 2 --until ok", "obsctl kafka status -o nagios"),
)
def status(ctx: typer.Context) -> ExitCode:
    """Check brokers, controller quorum, partitions, disks and groups.

    Every broker is asked itself, all at the same time, each with its own deadline: a dead or hung one costs its own
    row only.
    """
    from obsctl.checks.kafka.check import cluster_check
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
    from obsctl.checks.kafka.check import partitions_check
    from obsctl.cli.checking import run_check

    return run_check(ctx, partitions_check(topic or ()))
