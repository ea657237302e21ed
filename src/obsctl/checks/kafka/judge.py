"""Judges a Kafka cluster, and the losses that it would survive, by the rules in ``rules`` and those about groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from obsctl.checks.kafka.headroom import Headroom, headroom, least_writes_left, lose, voters_left, writes_left
from obsctl.checks.kafka.rules import Rule, judged_by, rules_of
from obsctl.checks.kafka.rules.brokers import unreachable
from obsctl.checks.kafka.rules.disks import free_share
from obsctl.checks.kafka.rules.followers import follower_catches_up, follower_is_stuck, watermark_is_stuck
from obsctl.checks.kafka.rules.leaders import is_preferred
from obsctl.checks.kafka.rules.loss import after_loss
from obsctl.checks.kafka.rules.topics import span, weaknesses
from obsctl.checks.kafka.snapshot import Broker, Group, KafkaSnapshot, Partition, TopicSettings
from obsctl.checks.kafka.view import ClusterView, voter_is_well
from obsctl.checks.kafka.writes import in_words
from obsctl.checks.lag import rules, states
from obsctl.checks.lag.retention import Unread, expiring, is_abandoned
from obsctl.core.report import Finding, Severity
from obsctl.fleet.model import Fleet
from obsctl.kafka.partition import TopicPartition

#: The reported lag of a group, messages; at 1,000 lines a second this is most of a minute.
LAG_WARNING = 50_000
#: States of a group during a rebalance.
_JOINING = ("PreparingRebalance", "CompletingRebalance", "Assigning", "Reconciling")

# The rules of each command.
_CLUSTER = rules_of("brokers", "access", "rights", "quorum", "replicas", "topics", "leaders", "disks")
_PARTITIONS = rules_of("brokers", "access", "rights", "quorum", "replicas", "topics")
_TOPICS = rules_of("access", "rights", "quorum", "topics")
_QUORUM = rules_of("brokers", "access", "rights", "quorum")
_ACCESS = rules_of("access", "rights")
_BESIDE_LOSS = rules_of("access", "rights", "quorum")
#: The rules if no broker has answered.
_REACHING = rules_of("brokers", "access")


def judge_cluster(fleet: Fleet, seen: KafkaSnapshot) -> list[Finding]:
    """Return all findings about the cluster."""
    view = ClusterView(fleet, seen)
    if not view.answered:
        return _unreached(view)
    return [
        *judged_by(_CLUSTER, view),
        *_lags(fleet, seen),
        *_unread(fleet, seen),
        *_expiring(fleet, seen),
    ]


def judge_partitions(fleet: Fleet, seen: KafkaSnapshot) -> list[Finding]:
    """Return the findings about brokers, quorum, partitions and topics."""
    return _judged(_PARTITIONS, ClusterView(fleet, seen))


def judge_topics(fleet: Fleet, seen: KafkaSnapshot) -> list[Finding]:
    """Return the findings about topics; without a controller, only that there is none."""
    return _judged(_TOPICS, ClusterView(fleet, seen))


def judge_quorum(fleet: Fleet, seen: KafkaSnapshot) -> list[Finding]:
    """Return the findings about brokers and controllers."""
    return _judged(_QUORUM, ClusterView(fleet, seen))


def judge_access(fleet: Fleet, seen: KafkaSnapshot) -> list[Finding]:
    """Return the findings about brokers that refuse our connection, and about what our user may not see."""
    return [*judged_by(_ACCESS, ClusterView(fleet, seen))]


def judge_silent(fleet: Fleet, seen: KafkaSnapshot) -> list[Finding]:
    """Return the findings if no broker has answered."""
    return _unreached(ClusterView(fleet, seen))


def judge_loss(fleet: Fleet, seen: KafkaSnapshot, lost: Sequence[int]) -> list[Finding]:
    """Return the findings about what would no longer work without these nodes."""
    view = ClusterView(fleet, seen)
    if not view.answered:
        return _unreached(view)
    # The answer to the question comes before present faults.
    return [*after_loss(view, lose(view, lost)), *judged_by(_BESIDE_LOSS, view)]


def _judged(rules: Iterable[Rule], view: ClusterView) -> list[Finding]:
    return [*judged_by(rules, view)] if view.answered else _unreached(view)


def _unreached(view: ClusterView) -> list[Finding]:
    """Return the finding for a cluster without any answer: brokers are silent, or refuse our connection."""
    return [*judged_by(_REACHING, view)] if any(b.barred for b in view.seen.brokers) else [unreachable(view)]


def cluster_in_short(fleet: Fleet, seen: KafkaSnapshot) -> str:
    """Return the cluster's state in a line: what answers, and how much of it is intact, as far as known."""
    view = ClusterView(fleet, seen)
    brokers = f"{len(view.answered)} of {len(seen.brokers)} brokers"
    if view.stale:
        return f"{brokers}, {len(seen.partitions)} partitions as last known: {view.metadata.why}"
    short = sum(p.leader is None or bool(p.missing) for p in seen.partitions)
    return f"{brokers}, {len(seen.partitions)} partitions, {short} under-replicated"


def group_lag(group: Group, partitions: Iterable[Partition]) -> int | None:
    """Return how many messages the group can still read; ``None`` if no high watermark is known.

    Only partitions with a committed offset count, because a group may read only some of a topic. Records before the
    log's start are deleted and are not lag.
    """
    places = {(p.topic, p.partition): p for p in partitions}
    known = [(places.get((c.topic, c.partition)), c.offset) for c in group.committed]
    lags = [max(0, p.hw - max(offset, p.start or 0)) for p, offset in known if p is not None and p.hw is not None]
    return sum(lags) if lags else None


def replica_lag(partition: Partition) -> int | None:
    """Return by how many messages the slowest replica is behind the leader; ``None`` if a replica did not answer."""
    head = partition.leo.get(partition.leader) if partition.leader is not None else None
    ends = list(partition.leo.values())
    if head is None or any(end is None for end in ends):
        return None
    return max((head - end for end in ends if end is not None), default=None)


def _lags(fleet: Fleet, seen: KafkaSnapshot) -> Iterator[Finding]:
    for group in seen.groups:
        # A foreign group without members is somebody's abandoned experiment, not a backlog.
        if is_abandoned(fleet, group.name, group.state):
            continue
        lag = group_lag(group, seen.partitions)
        if lag is not None and lag > LAG_WARNING:
            yield Finding(
                code="KAFKA_LAG",
                severity=Severity.WARNING,
                object=f"group/{group.name}",
                summary=f"{lag:,} messages are not read yet (state {group.state})",
                evidence={"lag": lag, "threshold": LAG_WARNING, "state": group.state},
                hint="obsctl kafka status --watch 5: a falling number means that the backlog is shrinking"
                if group.state != "Empty"
                else "the group has no members; check whether its service runs: obsctl health",
            )


def _unread(fleet: Fleet, seen: KafkaSnapshot) -> Iterator[Finding]:
    """Yield a finding if there are messages and the storing consumer's group has no committed offsets.

    A consumer that has just started joins its group first and commits with its first batch, so only messages that are
    minutes old count. If a broker did not answer everything, a missing group proves nothing.
    """
    if not fleet.group("consumer") or seen.errors or seen.denied or not all(broker.answered for broker in seen.brokers):
        return
    name = fleet.consumer.group
    group = next((group for group in seen.groups if group.name == name), None)
    if group is not None and (group.state in _JOINING or group_lag(group, seen.partitions) is not None):
        return
    topics = {topic.name for topic in fleet.kafka.topics}
    old = sum(
        max(0, p.settled - p.start) for p in seen.partitions if p.topic in topics and p.settled and p.start is not None
    )
    if old:
        member = group is not None and group.state != "Empty"
        yield Finding(
            code="KAFKA_GROUP_UNREAD",
            severity=Severity.UNKNOWN if member else Severity.WARNING,
            object=f"group/{name}",
            summary=f"{old:,} messages have been there for minutes, but the group has no committed offsets: "
            + ("its members have not committed anything" if member else "the group has no members"),
            evidence={"messages": old, "state": group.state if group is not None else None},
            hint="on the consumer's host: systemctl status obsctl-consumer; journalctl -u obsctl-consumer -n 50",
        )


def _expiring(fleet: Fleet, seen: KafkaSnapshot) -> Iterator[Finding]:
    """Yield the groups that the retention is about to overtake, as far as a single look shows.

    It uses only the age of unread records: whether a group is too slow is shown by the window of ``kafka lag``.
    """
    places = {(p.topic, p.partition): p for p in seen.partitions}
    for group in seen.groups:
        if is_abandoned(fleet, group.name, group.state):
            continue
        found = [_unread_in(seen, places.get((c.topic, c.partition)), c.offset) for c in group.committed]
        yield from expiring(fleet, group.name, [one for one in found if one is not None], exact=False)


def _unread_in(seen: KafkaSnapshot, p: Partition | None, position: int) -> Unread | None:
    limit = seen.settings.get(p.topic, TopicSettings()).deleted_after_ms if p is not None else None
    if p is None or p.hw is None or not limit:
        return None
    first = max(position, p.start or 0)
    age_ms = max((aged.age_ms for aged in p.aged if first < aged.offset), default=None)
    expiry = rules.expiry(age_ms / 1000, limit / 1000, None, moves=False) if age_ms is not None else None
    return Unread(TopicPartition(p.topic, p.partition), p.hw - first, expiry) if expiry and first < p.hw else None


def describe_cluster(fleet: Fleet, seen: KafkaSnapshot) -> dict[str, Any]:
    """Return the report's data: brokers, quorum, topics, groups, partitions and the numbers for monitoring."""
    view = ClusterView(fleet, seen)
    led = Counter(p.leader for p in seen.partitions)
    spare = headroom(view)
    metrics: dict[str, Any] = {
        "brokers": len(seen.brokers),
        "brokers_up": len(view.answered),
        "partitions": len(seen.partitions),
        "offline": None if view.stale else led[None],
        "under_replicated": None
        if view.stale
        else sum(p.leader is not None and bool(p.missing) for p in seen.partitions),
        "voters_may_fail": _voters_may_fail(view),
        "brokers_may_fail": spare.brokers,
    }
    lags = {group.name: group_lag(group, seen.partitions) for group in seen.groups}
    metrics |= {f"lag_{name}": lag for name, lag in lags.items()}
    return {
        "metrics": metrics,
        "metadata": _metadata_row(view),
        "headroom": _headroom_row(view, spare),
        "brokers": [_broker_row(view, broker, led[broker.node_id]) for broker in seen.brokers],
        "quorum": _quorum_row(view),
        "topics": topic_rows(view),
        "groups": [
            {
                "group": group.name,
                "kind": group.kind or None,
                "state": group.state,
                "means": states.in_words(fleet, group.name, group.state, group.kind),
                "coordinator": group.coordinator,
                "partitions": len(group.committed),
                "lag": lags[group.name],
            }
            for group in seen.groups
        ],
        "partitions": partition_rows(view),
    }


def describe_partitions(fleet: Fleet, seen: KafkaSnapshot) -> dict[str, Any]:
    """Return the report's data: a row for each partition."""
    view = ClusterView(fleet, seen)
    return {"metadata": _metadata_row(view), "partitions": partition_rows(view), "internal": _internal_rows(view)}


def describe_topics(fleet: Fleet, seen: KafkaSnapshot) -> dict[str, Any]:
    """Return the report's data: a row for each topic."""
    view = ClusterView(fleet, seen)
    return {"metadata": _metadata_row(view), "topics": topic_rows(view)}


def describe_quorum(fleet: Fleet, seen: KafkaSnapshot) -> dict[str, Any]:
    """Return the report's data: the quorum, each voter, and each observer."""
    view = ClusterView(fleet, seen)
    quorum = seen.quorum
    rows = []
    for voter in (*quorum.voters, *quorum.observers) if quorum else ():
        host = view.host_of(voter.node_id)
        well = voter_is_well(quorum, voter) if quorum else None
        follows = "follows" if well else "behind"
        rows.append(
            {
                "node": voter.node_id,
                "host": host.name if host else None,
                "votes": quorum is not None and voter in quorum.voters,
                "state": "leads" if quorum and voter.node_id == quorum.leader else follows,
                "broker": "silent" if voter.node_id in view.silent else "answers",
                "log_end": voter.log_end_offset,
                "lag": voter.lag,
                "behind_ms": voter.behind_ms,
            }
        )
    return {"metadata": _metadata_row(view), "quorum": _quorum_row(view), "voters": rows}


def describe_loss(fleet: Fleet, seen: KafkaSnapshot, lost: Sequence[int]) -> dict[str, Any]:
    """Return the report's data: what the loss of these nodes would mean, by topic and in total."""
    view = ClusterView(fleet, seen)
    outcome = lose(view, lost)
    by_topic = {name: [loss for loss in outcome.partitions if loss.partition.topic == name] for name in view.topics}
    known = not view.stale
    return {
        "metadata": _metadata_row(view),
        "headroom": _headroom_row(view, headroom(view)),
        "loss": {
            "lost": sorted(outcome.lost),
            "silent": sorted(view.silent),
            "voters": outcome.voters[0] if outcome.voters else None,
            "voters_left": outcome.voters[1] if outcome.voters else None,
            "controller": outcome.quorum,
            "offline": sum(loss.offline for loss in outcome.partitions) if known else None,
            "no_writes": sum(loss.no_writes for loss in outcome.partitions) if known else None,
            "leader_moves": sum(loss.moves for loss in outcome.partitions) if known else None,
        },
        "topics": [
            {
                "topic": name,
                "partitions": len(losses),
                "offline": sum(loss.offline for loss in losses) if known else None,
                "no_writes": sum(loss.no_writes for loss in losses) if known else None,
                "leader_moves": sum(loss.moves for loss in losses) if known else None,
                "offline_partitions": [loss.partition.partition for loss in losses if loss.offline],
                "no_writes_partitions": [loss.partition.partition for loss in losses if loss.no_writes],
            }
            for name, losses in by_topic.items()
        ],
    }


def _metadata_row(view: ClusterView) -> dict[str, Any]:
    found = view.metadata
    return {"state": found.state, "age_ms": found.age_ms, "source": list(found.source), "why": found.why or None}


def _headroom_row(view: ClusterView, spare: Headroom) -> dict[str, Any]:
    return {
        "may_lose": spare.brokers,
        "writes": spare.writes,
        "reads": spare.reads,
        "voters": spare.quorum,
        "limited_by": spare.limited_by or None,
        "means": in_words(view),
    }


def partition_rows(view: ClusterView) -> list[dict[str, Any]]:
    """Return a row for each partition with the documented fields, the inventory's topics first.

    If the metadata is stale, ``leader`` and ``isr`` are null, and ``last_leader`` and ``last_isr`` have the last known
    values. ``folded``: a healthy partition of one of Kafka's own topics, for which a table only shows the topic's sum.
    """
    rows = []
    for p in view.partitions:
        state = _state(view, p)
        rows.append(
            {
                "topic": p.topic,
                "partition": p.partition,
                "leader": None if view.stale else p.leader,
                "isr": None if view.stale else list(p.isr),
                "start": p.start,
                "lso": p.lso,
                "hw": p.hw,
                "leo": {str(node): end for node, end in p.leo.items()},
                "lag": replica_lag(p),
                "may_lose": writes_left(view, p),
                "state": state,
                "replicas": list(p.replicas),
                "min_isr": p.effective_min_isr,
                "leader_epoch": p.leader_epoch,
                "last_leader": p.leader,
                "last_isr": list(p.isr),
                "adding": list(p.adding),
                "removing": list(p.removing),
                "watched_s": p.later.after_s if p.later else None,
                "folded": p.internal and state == "ok",
            }
        )
    return rows


def _state(view: ClusterView, p: Partition) -> str:
    """Return the worst fact about a partition, in a few words."""
    if p.leader is not None and p.leader in view.silent:
        return "leader silent"
    if view.stale:
        return "last known"
    if p.leader is None:
        return "offline"
    if watermark_is_stuck(p):
        return "watermark stuck"
    if p.effective_min_isr is not None and len(p.isr) < p.effective_min_isr:
        return "under min ISR"
    stuck = [node for node in p.leo if follower_is_stuck(p, node)]
    if stuck:
        return f"{','.join(map(str, stuck))} stuck"
    if p.adding or p.removing:
        return "being reassigned"
    if p.missing:
        coming = [node for node in p.missing if follower_catches_up(p, node)]
        return f"{','.join(map(str, coming))} catching up" if coming else "under-replicated"
    if view.silent.intersection(p.isr):
        return "ISR unsure"
    return "ok"


def _internal_rows(view: ClusterView) -> list[dict[str, Any]]:
    """Return a row for each of Kafka's own topics, whose healthy partitions are not shown one by one."""
    return [
        {
            "topic": name,
            "partitions": len(members),
            "well": None if view.stale else sum(_state(view, p) == "ok" for p in members),
            "leaders": {} if view.stale else dict(sorted(Counter(str(p.leader) for p in members).items())),
            "may_lose": least_writes_left(view, members),
        }
        for name, members in view.topics.items()
        if members[0].internal
    ]


def _broker_row(view: ClusterView, broker: Broker, leads: int) -> dict[str, Any]:
    shares = [share for share in map(free_share, broker.log_dirs) if share is not None]
    state = ("up" if broker.registered else "fenced") if broker.answered else ("closed" if broker.barred else "down")
    # While other brokers still list a broker that does not answer, their information about it is from before its
    # failure.
    known = broker.answered and not view.stale
    in_sync = sum(broker.node_id in p.isr for p in view.partitions)
    return {
        "broker": broker.node_id,
        "host": broker.host,
        "address": broker.address,
        "state": state,
        "leads": leads if known or (leads == 0 and not view.stale) else None,
        "in_sync": in_sync if known or (in_sync == 0 and not view.stale) else None,
        "replicas": sum(broker.node_id in p.replicas for p in view.partitions),
        "log_bytes": sum(directory.log_bytes for directory in broker.log_dirs) if broker.log_dirs else None,
        "disk_free": f"{min(shares):.0%}" if shares else None,
        "answer_ms": broker.answer_ms,
        "failure": broker.failure or None,
        "last_leads": leads,
        "last_in_sync": in_sync,
    }


def _voters_may_fail(view: ClusterView) -> int | None:
    left = voters_left(view)
    return max(0, left) if view.seen.quorum is not None and left is not None else None


def _quorum_row(view: ClusterView) -> dict[str, Any] | None:
    quorum = view.seen.quorum
    if quorum is None:
        return None
    return {
        "leader": quorum.leader,
        "epoch": quorum.epoch,
        "high_watermark": quorum.high_watermark,
        "voters": [voter.node_id for voter in quorum.voters],
        "lag": {str(voter.node_id): voter.lag for voter in quorum.voters},
        "behind_ms": {str(voter.node_id): voter.behind_ms for voter in quorum.voters},
        "may_fail": _voters_may_fail(view),
    }


def topic_rows(view: ClusterView) -> list[dict[str, Any]]:
    """Return a row for each topic, the inventory's first; numbers that depend on stale metadata are null."""
    rows = []
    for topic, members in view.topics.items():
        settings = view.seen.settings.get(topic, TopicSettings())
        short = [] if view.stale else [found.short for found in weaknesses(view, topic, members)]
        sizes = [size for p in members for size in p.sizes.values()]
        rows.append(
            {
                "topic": topic,
                "partitions": len(members),
                "replicas": min(len(p.replicas) for p in members),
                "min_isr": members[0].effective_min_isr,
                "whole": None if view.stale else sum(not p.missing and p.leader is not None for p in members),
                "offline": None if view.stale else sum(p.leader is None for p in members),
                "preferred": None if view.stale else sum(is_preferred(p) for p in members),
                "may_lose": least_writes_left(view, members),
                "messages": _messages(members),
                "size_bytes": sum(sizes) if sizes else None,
                "retention": span(settings.retention_ms) if settings.retention_ms is not None else None,
                "retention_ms": settings.retention_ms,
                "retention_bytes": settings.retention_bytes,
                "cleanup": settings.cleanup or None,
                "inventory": any(wanted.name == topic for wanted in view.fleet.kafka.topics),
                "internal": members[0].internal,
                "verdict": "not known" if view.stale else ", ".join(short) or "ok",
            }
        )
    return rows


def _messages(partitions: Sequence[Partition]) -> int | None:
    kept = [p.hw - p.start for p in partitions if p.hw is not None and p.start is not None]
    # A sum without one of the partitions would look like lost messages.
    return sum(kept) if len(kept) == len(partitions) else None
