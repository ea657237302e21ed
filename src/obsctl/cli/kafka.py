"""``obsctl kafka``: the cluster's brokers, quorum, partitions, replicas and groups."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from obsctl.cli import completion
from obsctl.cli.commands import AnyCheck, Command, check, examples, group
from obsctl.cli.moments import duration
from obsctl.cli.settings import note, settings
from obsctl.core.errors import ExitCode, UsageError

kafka = group(
    "kafka",
    help="Brokers, quorum, partitions, replicas, groups: see which failures the cluster can still survive.",
    epilog=examples("obsctl kafka status", "obsctl kafka partitions --topic nginxlog", "obsctl kafka lag"),
)

_Topics = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", autocompletion=completion.topics, help="Only this topic; repeatable."),
]


@check(
    kafka, "status", "obsctl kafka status", "obsctl kafka status --watch 2 --until ok", "obsctl kafka status -o nagios"
)
def status() -> AnyCheck:
    """Check brokers, controller quorum, partitions, disks and groups.

    Queries every broker directly and in parallel, each with its own deadline: a dead or hung broker affects only its
    own row. Also shows how many more nodes may be lost before writes stop or no controller can be elected.
    """
    from obsctl.checks.kafka.check import cluster_check

    return cluster_check()


@check(kafka, "partitions", "obsctl kafka partitions", "obsctl kafka partitions --topic nginxlog -o json")
def partitions(
    topic: _Topics = None,
) -> AnyCheck:
    """Show leader, ISR, offsets and the log end of every replica of each partition.

    HW is the high watermark (what consumers may read), LEO the log end offset of each replica (broker:offset), LAG how
    many records the slowest replica is behind its leader, MAY LOSE how many in-sync replicas may still fail before
    acks=all is refused; `?` means unknown. If replicas differ, they are sampled again after a second: a replica or
    a high watermark that has not advanced by then is stuck, not just slow. -o wide adds START, the first offset
    kept, and LSO, the last stable one.
    """
    from obsctl.checks.kafka.check import partitions_check

    return partitions_check(topic or ())


@check(kafka, "topics", "obsctl kafka topics", "obsctl kafka topics -o wide")
def topics() -> AnyCheck:
    """List and check all topics, also those not in the inventory: replicas, min ISR, retention and size.

    Finds topics with fewer replicas than the inventory specifies, with a min ISR that one stopped broker makes fail or
    that is lower than the inventory's, or that keep records for less time. -o wide adds MAY LOSE, how many in-sync
    replicas its weakest partition may still lose before acks=all is refused.
    """
    from obsctl.checks.kafka.check import topics_check

    return topics_check()


@check(kafka, "quorum", "obsctl kafka quorum", "obsctl kafka quorum --watch 2")
def quorum() -> AnyCheck:
    """Show the controllers: who leads, how far each voter is behind, and how many more may fail.

    STATE is the leader's view of a node's copy of the metadata: leads, follows, or behind (it lacks what is more than
    three seconds old). BROKER says whether the broker on that node answers. MAY FAIL is how many more voters may be
    lost before no controller can be elected; a node that does not answer is lost already.
    """
    from obsctl.checks.kafka.check import quorum_check

    return quorum_check()


@check(
    kafka,
    "whatif",
    "obsctl kafka whatif --lose node2",
    "obsctl kafka whatif --lose 2,3 -o json",
    "obsctl kafka whatif --lose node2 --watch 5 --until ok",
)
def whatif(
    *,
    lose: Annotated[
        str,
        typer.Option(metavar="NODE[,NODE]", help="Ids or inventory names of the nodes that would be lost."),
    ],
) -> AnyCheck:
    """Show what would stop if these nodes were lost now: which partitions, writes or reads, and the quorum.

    Nothing is stopped. Nodes that do not answer count as lost already. Exits with 0 if everything would keep working,
    so with --watch and --until a restart script can wait until the node may be stopped.
    """
    from obsctl.checks.kafka.check import loss_check

    nodes = [word.strip() for word in lose.split(",") if word.strip()]
    if not nodes:
        raise UsageError("--lose names no node", hint="obsctl kafka whatif --lose 2")
    return loss_check(nodes)


@kafka.command(
    "rebalance-leaders",
    cls=Command,
    epilog=examples("obsctl kafka rebalance-leaders --dry-run", "obsctl kafka rebalance-leaders --topic nginxlog"),
)
def rebalance_leaders(
    ctx: typer.Context,
    *,
    topic: _Topics = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show which partitions would change.")] = False,
) -> ExitCode:
    """Move each partition's leadership back to its first (preferred) replica, if that is in sync.

    Brokers that were down and came back do this by themselves within minutes. Producers and consumers of a
    partition wait briefly for its new leader; nothing is lost.
    """
    from obsctl.checks.kafka import elect
    from obsctl.checks.kafka.tables import ELECTION_LAYOUTS
    from obsctl.cli.checking import load_fleet
    from obsctl.cli.output import publish
    from obsctl.cli.reporting import Start

    start, fleet = Start(), load_fleet(ctx)
    view = elect.look(fleet)
    moves = elect.plan(view, topic or ())
    elections: list[elect.Election] = []
    after = None
    if not dry_run:
        elections = elect.elect(fleet, view, moves, lambda done, total: note(ctx, f"{done} of {total} partitions"))
        after = elect.look_after(fleet, elections).seen if elections else None
    data = {"dry_run": dry_run, "partitions": elect.rows(moves, elections, after)}
    if not moves:
        note(ctx, "every partition is led by its first replica")
    report = start.report("kafka rebalance-leaders", data, elect.judge_elections(moves, elections))
    publish(ctx, report, ELECTION_LAYOUTS)
    return report.status.exit_code


@check(
    kafka,
    "lag",
    "obsctl kafka lag",
    "obsctl kafka lag --group obsctl-consumer --window 30s",
    "obsctl kafka lag -o nagios",
)
def lag(
    ctx: typer.Context,
    *,
    names: Annotated[
        list[str] | None,
        typer.Option("--group", metavar="NAME", help="Watch only this group; repeatable."),
    ] = None,
    window: Annotated[
        timedelta | None,
        typer.Option(metavar="SPAN", parser=duration, help="How long to watch, 6s to 10m (default: 10s)."),
    ] = None,
) -> AnyCheck:
    """Measure how far each group is behind, and whether it is catching up.

    LAG counts the records that can still be read: those deleted by retention are in GONE. BEHIND S is the age of the
    oldest unread record, ETA S the number of seconds until the group has caught up at this pace. -o wide adds a row for
    each partition.

    The verdict comes from the window and needs no threshold per topic: stop (nothing was committed although there are
    records), stall (the same offset again and again), rewind (the offset went back), slow (the lag grows), held
    (written, but not readable yet), beyond (the offset is beyond the log's end), ok. Unread records that retention is
    about to delete are reported as a separate finding.
    """
    from obsctl.checks.lag.check import lag_check
    from obsctl.checks.lag.collect import LONGEST_S, SHORTEST_S, WINDOW_S

    window_s = window.total_seconds() if window is not None else WINDOW_S
    if not SHORTEST_S <= window_s <= LONGEST_S:
        raise UsageError(
            f"--window needs {SHORTEST_S:g}s to {LONGEST_S / 60:g}m: most clients commit every five seconds"
        )
    if settings(ctx).from_file is None:
        note(ctx, f"watching the groups for {window_s:g} s")
    return lag_check(names or (), window_s)


@check(
    kafka, "canary", "obsctl kafka canary", "obsctl kafka canary --count 200 -o json", "obsctl kafka canary --dry-run"
)
def canary(
    ctx: typer.Context,
    *,
    count: Annotated[
        int,
        typer.Option(
            min=1, max=1000, metavar="N", help="Records for each partition of the canary topic (default: 20)."
        ),
    ] = 20,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write nothing; show which brokers would get records.")
    ] = False,
) -> AnyCheck:
    """Write small records to each broker and read them back, to measure latency and find brokers that refuse writes.

    They go to their own topic, which no consumer reads and which keeps them for ten minutes. Each is written as a log
    line is: acknowledged by all in-sync replicas, so a slow follower shows up in its leader's latency. Records that
    were acknowledged and do not come back are listed.
    """
    from obsctl.checks.canary.check import canary_check

    if dry_run:
        note(ctx, "dry run: nothing is written")
    return canary_check(count, dry_run=dry_run)
