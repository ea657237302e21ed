"""Replicas and high watermarks that do not advance although records wait, from two samples of the brokers.

Kafka itself notices after ``replica.lag.time.max.ms`` (30 s), and until then every partition looks healthy.
"""

from __future__ import annotations

from collections.abc import Iterator

from obsctl.checks.kafka.snapshot import Partition, Sample
from obsctl.checks.kafka.view import ClusterView, brokers
from obsctl.core.listed import listed
from obsctl.core.report import Finding, Severity
from obsctl.fleet.login import connect_command

#: A replica that has not advanced although records have waited for this long is stuck, seconds. A fetcher pauses for
#: one second after an error.
STUCK_S = 1.0


def stuck_watermark(view: ClusterView) -> Iterator[Finding]:
    """Partitions in which nothing can be acknowledged or read: an in-sync replica does not fetch."""
    hit = [p for p in view.partitions if watermark_is_stuck(p)]
    if not hit:
        return
    names = [p.name for p in hit]
    blocking = {node for p in hit for node in p.isr if _holds_back(p, node)}
    waiting = sum(_waiting(p) for p in hit)
    # A follower may have all records but not have fetched again: then its leader counts it as behind.
    followers = {node for p in hit for node in p.isr if node != p.leader}
    who = brokers(blocking) if blocking else f"one of {brokers(followers)}" if followers else "a replica"
    wait = "record waits" if waiting == 1 else "records wait"
    silent = bool(blocking) and view.silent.issuperset(blocking)
    yield Finding(
        code="KAFKA_WATERMARK_STUCK",
        severity=Severity.CRITICAL,
        object="kafka",
        summary="the high watermark does not advance, so nothing new is acknowledged or readable: "
        f"{waiting:,} {wait} for {who}, in the ISR and {'not answering' if silent else 'not fetching'}: "
        f"{listed(names)} ({len(names)} of {len(view.partitions)} partitions)",
        evidence={"count": len(names), "partitions": names, "waiting": waiting, "held_back_by": sorted(blocking)},
        hint="Kafka removes it from the ISR within 30 s (replica.lag.time.max.ms); then writes continue if enough "
        f"replicas are left for min ISR; {_what_now(view, blocking or followers)}",
    )


def stuck_followers(view: ClusterView) -> Iterator[Finding]:
    """Brokers that answer, but do not fetch what their leaders have."""
    for broker in view.answered:
        node = broker.node_id
        hit = [p for p in view.partitions if follower_is_stuck(p, node)]
        if not hit:
            continue
        behind = {p.name: _head(p) - (p.leo[node] or 0) for p in hit}
        leaders = {p.leader for p in hit}
        worst = max(behind, key=lambda name: behind[name])
        yield Finding(
            code="KAFKA_FOLLOWER_STUCK",
            severity=Severity.WARNING,
            object=f"broker/{node}",
            summary=f"fetches nothing from {brokers(leaders)}, although records have been waiting for "
            f"{min(p.later.after_s for p in hit if p.later):.1f} s: {listed(list(behind))} (up to {behind[worst]:,} "
            f"behind, {worst})",
            evidence={"partitions": list(behind), "behind": behind, "leaders": sorted(leaders, key=str)},
            hint=_reach(view, node),
        )


def watermark_is_stuck(partition: Partition) -> bool:
    """Return whether the high watermark has not advanced although the leader's log extends beyond it."""
    later, head = _settled(partition), _head(partition)
    if later is None or partition.hw is None or later.hw is None:
        return False
    return partition.hw < head and later.hw == partition.hw


def follower_is_stuck(partition: Partition, node: int) -> bool:
    """Return whether the replica on this broker has not advanced although the leader has more."""
    later, first = _settled(partition), partition.leo.get(node)
    if later is None or first is None or node == partition.leader:
        return False
    return first < _head(partition) and later.leo.get(node) == first


def follower_catches_up(partition: Partition, node: int) -> bool:
    """Return whether the replica on this broker is behind its leader and advances."""
    first, later = partition.leo.get(node), partition.later
    if first is None or later is None or first >= _head(partition):
        return False
    return (later.leo.get(node) or 0) > first


def _settled(partition: Partition) -> Sample | None:
    """Return the later look, if it was late enough and the leader answered both."""
    later = partition.later
    if later is None or later.after_s < STUCK_S or partition.leader is None:
        return None
    return later if partition.leo.get(partition.leader) is not None else None


def _head(partition: Partition) -> int:
    end = partition.leo.get(partition.leader) if partition.leader is not None else None
    return end if end is not None else 0


def _waiting(partition: Partition) -> int:
    return max(0, _head(partition) - (partition.hw or 0))


def _holds_back(partition: Partition, node: int) -> bool:
    """Return whether a replica holds back the high watermark: its log ends there, or its end is not known."""
    end = partition.later.leo.get(node) if partition.later is not None else None
    return end is None or end <= (partition.hw or 0)


def _what_now(view: ClusterView, suspects: set[int]) -> str:
    if not suspects:
        return "obsctl kafka partitions shows each replica's log end offset"
    if view.silent.issuperset(suspects):
        return f"for {brokers(suspects)}, see KAFKA_BROKER_DOWN"
    return "at once: " + "; ".join(_reach(view, node) for node in sorted(suspects - view.silent))


def _reach(view: ClusterView, node: int) -> str:
    """Return the command that shows whether a broker reaches the others on the port from which it fetches."""
    nodes = [(host.address, host.kafka) for host in view.fleet.group("kafka") if host.kafka is not None]
    others = [(address, broker) for address, broker in nodes if "broker" in broker.roles and broker.node_id != node]
    reach = [connect_command(address, broker.replication_port) for address, broker in others]
    return view.on(node, "; ".join((*reach, "journalctl -u kafka -n 50")))
