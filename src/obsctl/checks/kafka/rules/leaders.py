"""How the leaders are spread over the brokers."""

from __future__ import annotations

from collections.abc import Iterator

from obsctl.checks.kafka.snapshot import Partition
from obsctl.checks.kafka.view import ClusterView, leaders_of
from obsctl.core.report import Finding, Severity

#: A broker is reported if it leads more than this multiple of its fair share.
LEADER_SKEW = 1.5


def skew(view: ClusterView) -> Iterator[Finding]:
    """A broker that leads clearly more than its share, if moving leaders back would help."""
    live = [broker.node_id for broker in view.answered if broker.registered]
    led = [p for p in view.partitions if p.leader is not None]
    if view.stale or len(live) < 2 or not led:
        return
    counts = leaders_of(tuple(led))
    fair = len(led) / len(live)
    away = [p.name for p in led if not is_preferred(p)]
    busiest = max(live, key=lambda node: counts[node])
    if away and counts[busiest] > max(LEADER_SKEW * fair, fair + 1):
        yield Finding(
            code="KAFKA_LEADER_SKEW",
            severity=Severity.INFO,
            object=f"broker/{busiest}",
            summary=f"leads {counts[busiest]} partitions, its fair share is {fair:.1f}; {len(away)} are not led by "
            "their first replica",
            evidence={"leaders": {str(node): counts[node] for node in sorted(live)}, "not_preferred": len(away)},
            hint="the cluster rebalances this by itself within minutes; to do it now: obsctl kafka rebalance-leaders",
        )


def is_preferred(partition: Partition) -> bool:
    """Return whether the partition's first replica leads it."""
    return bool(partition.replicas) and partition.leader == partition.replicas[0]
