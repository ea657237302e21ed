"""What is wrong with a Kafka cluster, and what it can still lose.

One finding names all partitions that share a fault: at night one line with twelve names is read, twelve lines are
not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from obsctl.checks.kafka.snapshot import Broker, Group, KafkaSnapshot, LogDir, Partition, Quorum, Voter
from obsctl.core.report import Finding, Severity
from obsctl.fleet.model import Fleet

#: A voter that did not hold everything for longer than this is not counted on. Voters fetch every half second, and
#: the leader gives up its office when a majority has not fetched for two.
VOTER_BEHIND_MS = 3_000
#: The same in records, for brokers that do not report the time (before 3.3).
VOTER_BEHIND_RECORDS = 1_000
#: Messages not yet read by a group; at 1,000 lines a second this is most of a minute.
LAG_WARNING = 50_000
#: States of a group whose members are only finding each other.
_JOINING = ("PreparingRebalance", "CompletingRebalance", "Assigning", "Reconciling")
#: Share of a broker's log directory that is still free.
DISK_WARNING = 0.15
DISK_CRITICAL = 0.05
#: A broker leads more than this multiple of its fair share before it is reported.
LEADER_SKEW = 1.5
#: Partitions named in a summary; the evidence names them all.
_NAMED = 6


class _PartitionFault(NamedTuple):
    """A fault that many partitions share, and how it is reported."""

    code: str
    severity: Severity
    what: str
    hint: str


_OFFLINE = _PartitionFault(
    "KAFKA_OFFLINE_PARTITIONS",
    Severity.CRITICAL,
    "without a leader, neither readable nor writable",
    "bring back the brokers that hold their replicas (obsctl kafka partitions shows them); an unclean election loses "
    "what only they have",
)
_BELOW_MIN_ISR = _PartitionFault(
    "KAFKA_UNDER_MIN_ISR",
    Severity.CRITICAL,
    "fewer in-sync replicas than a write needs, acks=all is refused",
    "bring back the missing brokers, which obsctl kafka status names; Filebeat keeps its lines until then",
)
_AT_MIN_ISR = _PartitionFault(
    "KAFKA_AT_MIN_ISR",
    Severity.WARNING,
    "just as many in-sync replicas as a write needs, one more failure stops it",
    "restart no other broker before obsctl kafka status --watch 2 --until ok has returned",
)
_UNDER_REPLICATED = _PartitionFault(
    "KAFKA_UNDER_REPLICATED",
    Severity.WARNING,
    "replicas missing from the ISR",
    "obsctl kafka partitions shows how far each replica is behind",
)
_KAFKA_UNIT_HINT = "on {host}: systemctl status kafka; journalctl -u kafka -n 50"


def judge_cluster(fleet: Fleet, seen: KafkaSnapshot) -> list[Finding]:
    """Return all findings about the cluster."""
    if not _anybody(seen):
        return [_unreachable(seen)]
    return [
        *_brokers(seen),
        *_quorum(fleet, seen),
        *_partitions(seen),
        *_topics(fleet, seen),
        *_leaders(seen),
        *_disks(seen.brokers),
        *_lags(fleet, seen),
        *_unread(fleet, seen),
    ]


def judge_partitions(fleet: Fleet, seen: KafkaSnapshot) -> list[Finding]:
    """Return the findings about brokers, partitions and topics."""
    if not _anybody(seen):
        return [_unreachable(seen)]
    return [*_brokers(seen), *_partitions(seen), *_topics(fleet, seen)]


def voter_is_well(quorum: Quorum, voter: Voter) -> bool:
    """Return whether the quorum can count on this voter."""
    leader = next((other for other in quorum.voters if other.node_id == quorum.leader), None)
    if leader is None or leader.behind_ms is None:
        return voter.lag <= VOTER_BEHIND_RECORDS
    return voter.behind_ms is not None and voter.behind_ms <= VOTER_BEHIND_MS


def may_still_fail(quorum: Quorum) -> int:
    """Return how many of the voters that are well may fail before no controller can be elected (never below 0)."""
    well = sum(voter_is_well(quorum, voter) for voter in quorum.voters)
    return max(0, well - (len(quorum.voters) // 2 + 1))


def group_lag(group: Group, partitions: Iterable[Partition]) -> int | None:
    """Return how many messages the group has not read yet; ``None`` where no high watermark is known.

    Only partitions with a committed offset count: a group may subscribe to some of a topic.
    """
    ends = {(p.topic, p.partition): p.hw for p in partitions}
    known = [(ends.get((c.topic, c.partition)), c.offset) for c in group.committed]
    lags = [max(0, end - offset) for end, offset in known if end is not None]
    return sum(lags) if lags else None


def replica_lag(partition: Partition) -> int | None:
    """Return by how many messages the slowest replica that answered is behind the leader; ``None`` if unknown."""
    head = partition.leo.get(partition.leader) if partition.leader is not None else None
    if head is None:
        return None
    return max((head - end for end in partition.leo.values() if end is not None), default=None)


def _anybody(seen: KafkaSnapshot) -> bool:
    return any(broker.answered for broker in seen.brokers)


def _unreachable(seen: KafkaSnapshot) -> Finding:
    reasons = {f"broker/{broker.node_id}": f"{broker.address}: {broker.failure}" for broker in seen.brokers}
    words = "; ".join(f"{name} {reason}" for name, reason in reasons.items())
    return Finding(
        code="KAFKA_UNREACHABLE",
        severity=Severity.CRITICAL,
        object="kafka",
        summary=f"no broker answers ({words})" if words else "the inventory names no broker",
        evidence={"brokers": len(seen.brokers), "reasons": reasons},
        hint=f"nc -vz {' '.join(seen.brokers[0].address.rsplit(':', 1))} tests the network from here; then on each "
        "host: systemctl status kafka"
        if words
        else "put the brokers into the inventory's group kafka, each with its kafka_node_id",
    )


def _brokers(seen: KafkaSnapshot) -> Iterator[Finding]:
    clusters = Counter(broker.cluster_id for broker in seen.brokers if broker.cluster_id)
    for broker in seen.brokers:
        if not broker.answered:
            yield _down(broker, seen.partitions)
        elif not broker.registered:
            yield Finding(
                code="KAFKA_BROKER_FENCED",
                severity=Severity.WARNING,
                object=f"broker/{broker.node_id}",
                summary=f"answers on {broker.address}, but the cluster does not list it: it is starting, or was fenced",
                evidence={"answer_ms": broker.answer_ms},
                hint="look again in half a minute; then " + _KAFKA_UNIT_HINT.format(host=broker.host),
            )
    if len(clusters) > 1:
        yield Finding(
            code="KAFKA_CLUSTER_ID_MISMATCH",
            severity=Severity.CRITICAL,
            object="kafka",
            summary=f"the brokers belong to {len(clusters)} different clusters",
            evidence={f"broker/{broker.node_id}": broker.cluster_id for broker in seen.brokers if broker.cluster_id},
            hint=f"on {', '.join(_of_the_smaller_cluster(seen))}: systemctl stop kafka, and compare cluster.id in "
            "meta.properties of its data directory with that of the others; never format a directory that holds data",
        )


def _of_the_smaller_cluster(seen: KafkaSnapshot) -> list[str]:
    """Return the hosts of the brokers whose cluster id is not the one that most brokers have."""
    ids = Counter(broker.cluster_id for broker in seen.brokers if broker.cluster_id)
    usual = ids.most_common(1)[0][0]
    return [broker.host for broker in seen.brokers if broker.cluster_id and broker.cluster_id != usual]


def _down(broker: Broker, partitions: Sequence[Partition]) -> Finding:
    leads = [p.name for p in partitions if p.leader == broker.node_id]
    holds = [p.name for p in partitions if broker.node_id in p.replicas]
    stalled = f", and {len(leads)} partitions still name it as their leader" if leads else ""
    return Finding(
        code="KAFKA_BROKER_DOWN",
        severity=Severity.CRITICAL,
        object=f"broker/{broker.node_id}",
        summary=f"{broker.host} ({broker.address}): {broker.failure}; it holds {len(holds)} replicas{stalled}",
        evidence={
            "replicas": len(holds),
            "leads": len(leads),
            "partitions": holds,
            "led": leads,
            "still_registered": broker.registered,
        },
        hint=_KAFKA_UNIT_HINT.format(host=broker.host),
    )


def _quorum(fleet: Fleet, seen: KafkaSnapshot) -> Iterator[Finding]:
    quorum = seen.quorum
    if quorum is None:
        if not any(fault.code == "KAFKA_QUORUM_UNREADABLE" for fault in seen.errors):
            yield _no_controller(fleet, seen)
        return
    spare = may_still_fail(quorum)
    for voter in quorum.voters:
        if voter_is_well(quorum, voter):
            continue
        since = f"for {voter.behind_ms / 1000:.0f} s" if voter.behind_ms is not None else "since the last election"
        yield Finding(
            code="KAFKA_QUORUM_VOTER_LAGGING",
            severity=Severity.WARNING if spare else Severity.CRITICAL,
            object=f"controller/{voter.node_id}",
            summary=f"voter {voter.node_id} has not caught up {since}; "
            + (f"{spare} more may fail" if spare else "with one more failure no controller can be elected"),
            evidence={"lag": voter.lag, "behind_ms": voter.behind_ms, "voters": len(quorum.voters), "may_fail": spare},
            hint=f"bring it back before any other controller is stopped; {_on_node(fleet, voter.node_id)}",
        )


def _on_node(fleet: Fleet, node_id: int) -> str:
    """Return what to look at on a node, by its host's name."""
    names = [host.name for host in fleet.group("kafka") if host.kafka and host.kafka.node_id == node_id]
    return _KAFKA_UNIT_HINT.format(host=names[0] if names else f"node {node_id}")


def _controller_ports(fleet: Fleet) -> str:
    nodes = [host.kafka for host in fleet.group("kafka") if host.kafka and "controller" in host.kafka.roles]
    return " or ".join(map(str, sorted({node.controller_port for node in nodes}))) or "(the inventory names none)"


def _no_controller(fleet: Fleet, seen: KafkaSnapshot) -> Finding:
    voters = {host.kafka.node_id for host in fleet.group("kafka") if host.kafka and "controller" in host.kafka.roles}
    silent = {broker.node_id for broker in seen.brokers if not broker.answered}
    majority = len(voters) // 2 + 1
    lost = len(voters - silent) < majority
    return Finding(
        code="KAFKA_NO_CONTROLLER",
        severity=Severity.CRITICAL if lost else Severity.UNKNOWN,
        object="kafka/quorum",
        summary=f"only {len(voters - silent)} of {len(voters)} controllers can be alive, {majority} are needed: "
        "nothing can be elected, created or changed"
        if lost
        else "no broker got an answer from the controller in time: there is none, or it hangs or has just changed",
        evidence={
            "brokers_answered": sum(broker.answered for broker in seen.brokers),
            "controllers": len(voters),
            "majority": majority,
        },
        hint="look again in half a minute (brokers wait that long for a controller that hangs); then on each "
        f"controller journalctl -u kafka -n 50, and whether the others reach its port {_controller_ports(fleet)}",
    )


def _partitions(seen: KafkaSnapshot) -> Iterator[Finding]:
    silent = [broker.node_id for broker in seen.brokers if not broker.answered]
    offline = [p for p in seen.partitions if p.leader is None]
    led = [p for p in seen.partitions if p.leader is not None]
    under = [p for p in led if len(p.isr) < len(p.replicas)]
    below = [p for p in led if p.effective_min_isr is not None and len(p.isr) < p.effective_min_isr]
    # Where every replica is in sync and that is all that is asked for (RF 1), "at" says nothing about the moment.
    at = [p for p in under if p.effective_min_isr is not None and len(p.isr) == p.effective_min_isr]
    faults = (
        (offline, _OFFLINE),
        (below, _BELOW_MIN_ISR),
        (at, _AT_MIN_ISR),
        (under, _UNDER_REPLICATED),
    )
    for hit, fault in faults:
        if hit:
            yield _named(fault, hit, len(seen.partitions), silent)


def _named(fault: _PartitionFault, hit: Sequence[Partition], total: int, silent: Sequence[int]) -> Finding:
    missing = sorted({node for p in hit for node in p.replicas if node not in p.isr})
    names = [p.name for p in hit]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    away = f"; not in sync: broker {', '.join(map(str, missing))}" if missing else ""
    if missing and set(missing) <= set(silent):
        away += ", which does not answer"
    return Finding(
        code=fault.code,
        severity=fault.severity,
        object="kafka",
        summary=f"{fault.what}: {', '.join(names[:_NAMED])}{more} ({len(names)} of {total} partitions{away})",
        evidence={"count": len(names), "partitions": names, "missing_replicas_on": missing},
        hint=fault.hint,
    )


def _topics(fleet: Fleet, seen: KafkaSnapshot) -> Iterator[Finding]:
    by_topic: dict[str, list[Partition]] = {}
    for partition in seen.partitions:
        by_topic.setdefault(partition.topic, []).append(partition)
    wanted = {topic.name: topic.partitions for topic in fleet.kafka.topics}
    for name, partitions in wanted.items():
        if name not in by_topic:
            yield Finding(
                code="KAFKA_TOPIC_MISSING",
                severity=Severity.CRITICAL,
                object=f"topic/{name}",
                summary=f"the topic does not exist, the inventory wants it with {partitions} partitions",
                evidence={"wanted_partitions": partitions},
                hint=f"{fleet.playbook('kafka')} creates it",
            )
        elif len(by_topic[name]) < partitions:
            yield Finding(
                code="KAFKA_PARTITION_COUNT",
                severity=Severity.WARNING,
                object=f"topic/{name}",
                summary=f"has {len(by_topic[name])} partitions, the inventory wants {partitions}",
                evidence={"partitions": len(by_topic[name]), "wanted": partitions},
                hint=f"{fleet.playbook('kafka')} adds them; keys then move to other partitions",
            )
    factor = min(fleet.kafka.replication_factor, len(seen.brokers))
    for name, members in sorted(by_topic.items()):
        if name in wanted or members[0].internal:
            yield from _durability(fleet, name, members, factor)


def _durability(fleet: Fleet, name: str, partitions: Sequence[Partition], factor: int) -> Iterator[Finding]:
    min_isr = fleet.kafka.min_insync_replicas
    thin = [p for p in partitions if len(p.replicas) < factor]
    if thin:
        fewest = min(len(p.replicas) for p in thin)
        yield Finding(
            code="KAFKA_REPLICATION_FACTOR",
            severity=Severity.WARNING,
            object=f"topic/{name}",
            summary=f"{len(thin)} of {len(partitions)} partitions have {fewest} replicas, the inventory wants {factor}",
            evidence={"partitions": [p.name for p in thin], "replicas": fewest, "wanted": factor},
            hint=f"one dead broker loses or stops them; obsctl kafka partitions --topic {name} -o wide shows the "
            "replicas, obsctl explain KAFKA_REPLICATION_FACTOR how to add some",
        )
    configured = {p.min_isr for p in partitions if p.min_isr is not None}
    if not partitions[0].internal and configured and min(configured) < min_isr:
        yield Finding(
            code="KAFKA_MIN_ISR_LOW",
            severity=Severity.WARNING,
            object=f"topic/{name}",
            summary=f"min.insync.replicas is {min(configured)}, the inventory wants {min_isr}: acks=all promises less",
            evidence={"min_insync_replicas": min(configured), "wanted": min_isr},
            hint=f"{fleet.playbook('kafka')} sets it for each topic",
        )


def _leaders(seen: KafkaSnapshot) -> Iterator[Finding]:
    live = [broker.node_id for broker in seen.brokers if broker.answered and broker.registered]
    counts = Counter(p.leader for p in seen.partitions if p.leader is not None)
    if len(live) < 2 or not counts:
        return
    fair = sum(counts.values()) / len(live)
    away = [p.name for p in seen.partitions if p.leader is not None and p.leader != p.replicas[0]]
    busiest = max(live, key=lambda node: counts[node])
    leader = next(broker for broker in seen.brokers if broker.node_id == busiest)
    if away and counts[busiest] > max(LEADER_SKEW * fair, fair + 1):
        yield Finding(
            code="KAFKA_LEADER_SKEW",
            severity=Severity.INFO,
            object=f"broker/{busiest}",
            summary=f"leads {counts[busiest]} partitions, a fair share is {fair:.1f}; {len(away)} are not led by their "
            "first replica",
            evidence={"leaders": {str(node): counts[node] for node in sorted(live)}, "not_preferred": len(away)},
            hint=f"the cluster evens this out by itself within minutes; at once, on {leader.host}: kafka-cli elect "
            f"--bootstrap-server {leader.address} --election-type PREFERRED --all-topic-partitions",
        )


def _disks(brokers: Sequence[Broker]) -> Iterator[Finding]:
    for broker in brokers:
        for directory in broker.log_dirs:
            if not directory.healthy:
                yield Finding(
                    code="KAFKA_LOG_DIR_OFFLINE",
                    severity=Severity.CRITICAL,
                    object=f"broker/{broker.node_id}",
                    summary=f"log directory {directory.path} is offline: the broker could not read or write it",
                    hint=f"on {broker.host}: dmesg | tail -50; df -h {directory.path}; ls -ld {directory.path}",
                )
            free = free_share(directory)
            if free is not None and free < DISK_WARNING:
                yield Finding(
                    code="KAFKA_DISK_LOW",
                    severity=Severity.CRITICAL if free < DISK_CRITICAL else Severity.WARNING,
                    object=f"broker/{broker.node_id}",
                    summary=f"{directory.path} has {free:.0%} free; a full log directory stops the broker",
                    evidence={
                        "free_share": round(free, 4),
                        "usable_bytes": directory.usable_bytes,
                        "log_bytes": directory.log_bytes,
                    },
                    hint=f"on {broker.host}: du -sh {directory.path}/* | sort -h | tail names the largest; shorten its "
                    "retention in the inventory, or add disk",
                )


def free_share(directory: LogDir) -> float | None:
    """Return which share of the directory's volume is free (0 to 1), ``None`` where the broker does not report it."""
    if not directory.total_bytes or directory.usable_bytes is None:
        return None
    return directory.usable_bytes / directory.total_bytes


def _lags(fleet: Fleet, seen: KafkaSnapshot) -> Iterator[Finding]:
    ours = {fleet.consumer.group, fleet.alerter.group}
    for group in seen.groups:
        # A foreign group without members is somebody's abandoned experiment, not a backlog.
        if group.name not in ours and group.state == "Empty":
            continue
        lag = group_lag(group, seen.partitions)
        if lag is not None and lag > LAG_WARNING:
            yield Finding(
                code="KAFKA_LAG",
                severity=Severity.WARNING,
                object=f"group/{group.name}",
                summary=f"{lag:,} messages are not read yet (state {group.state})",
                evidence={"lag": lag, "threshold": LAG_WARNING, "state": group.state},
                hint="obsctl kafka status --watch 5: a falling number is a backlog that is being worked off"
                if group.state != "Empty"
                else "the group has no members: does its service run? obsctl health",
            )


def _unread(fleet: Fleet, seen: KafkaSnapshot) -> Iterator[Finding]:
    """Yield a finding when there are messages and the storing consumer's group has no position in them.

    A consumer that has just started joins its group first and commits with its first batch, so only messages that
    have been there for minutes count. Where a broker did not answer everything, an absent group proves nothing.
    """
    if not fleet.group("consumer") or seen.errors or not all(broker.answered for broker in seen.brokers):
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
            summary=f"{old:,} messages have been there for minutes and the group has no position: "
            + ("its members have not committed anything" if member else "the group has no members"),
            evidence={"messages": old, "state": group.state if group is not None else None},
            hint="on the consumer's host: systemctl status obsctl-consumer; journalctl -u obsctl-consumer -n 50",
        )


def describe_cluster(_fleet: Fleet, seen: KafkaSnapshot) -> dict[str, Any]:
    """Return the report's data: brokers, quorum, topics, groups, partitions and the numbers for monitoring."""
    led = Counter(p.leader for p in seen.partitions)
    under = [p for p in seen.partitions if p.leader is not None and len(p.isr) < len(p.replicas)]
    metrics: dict[str, Any] = {
        "brokers": len(seen.brokers),
        "brokers_up": sum(broker.answered for broker in seen.brokers),
        "partitions": len(seen.partitions),
        "offline": led[None],
        "under_replicated": len(under),
        "voters_may_fail": may_still_fail(seen.quorum) if seen.quorum else None,
    }
    lags = {group.name: group_lag(group, seen.partitions) for group in seen.groups}
    metrics |= {f"lag_{name}": lag for name, lag in lags.items()}
    return {
        "metrics": metrics,
        "brokers": [_broker_row(broker, seen.partitions, led[broker.node_id]) for broker in seen.brokers],
        "quorum": _quorum_row(seen.quorum),
        "topics": _topic_rows(seen.partitions),
        "groups": [
            {
                "group": group.name,
                "state": group.state,
                "coordinator": group.coordinator,
                "partitions": len(group.committed),
                "lag": lags[group.name],
            }
            for group in seen.groups
        ],
        "partitions": partition_rows(seen.partitions),
    }


def describe_partitions(_fleet: Fleet, seen: KafkaSnapshot) -> dict[str, Any]:
    """Return the report's data: a row a partition."""
    return {"partitions": partition_rows(seen.partitions)}


def partition_rows(partitions: Iterable[Partition]) -> list[dict[str, Any]]:
    """Return partitions as the contract names their fields, and the slowest replica's ``lag``."""
    return [
        {
            "topic": p.topic,
            "partition": p.partition,
            "leader": p.leader,
            "isr": list(p.isr),
            "start": p.start,
            "lso": p.lso,
            "hw": p.hw,
            "leo": {str(node): end for node, end in p.leo.items()},
            "lag": replica_lag(p),
            "replicas": list(p.replicas),
            "min_isr": p.effective_min_isr,
            "leader_epoch": p.leader_epoch,
        }
        for p in partitions
    ]


def _broker_row(broker: Broker, partitions: Iterable[Partition], leads: int) -> dict[str, Any]:
    shares = [share for share in map(free_share, broker.log_dirs) if share is not None]
    state = "down" if not broker.answered else ("up" if broker.registered else "fenced")
    return {
        "broker": broker.node_id,
        "host": broker.host,
        "address": broker.address,
        "state": state,
        "leads": leads,
        "in_sync": sum(broker.node_id in p.isr for p in partitions),
        "replicas": sum(broker.node_id in p.replicas for p in partitions),
        "log_bytes": sum(directory.log_bytes for directory in broker.log_dirs) if broker.log_dirs else None,
        "disk_free": f"{min(shares):.0%}" if shares else None,
        "answer_ms": broker.answer_ms,
        "failure": broker.failure or None,
    }


def _quorum_row(quorum: Quorum | None) -> dict[str, Any] | None:
    if quorum is None:
        return None
    return {
        "leader": quorum.leader,
        "epoch": quorum.epoch,
        "high_watermark": quorum.high_watermark,
        "voters": [voter.node_id for voter in quorum.voters],
        "lag": {str(voter.node_id): voter.lag for voter in quorum.voters},
        "behind_ms": {str(voter.node_id): voter.behind_ms for voter in quorum.voters},
        "may_fail": may_still_fail(quorum),
    }


def _topic_rows(partitions: Sequence[Partition]) -> list[dict[str, Any]]:
    by_topic: dict[str, list[Partition]] = {}
    for partition in partitions:
        by_topic.setdefault(partition.topic, []).append(partition)
    return [
        {
            "topic": topic,
            "partitions": len(members),
            "replicas": min(len(p.replicas) for p in members),
            "min_isr": members[0].effective_min_isr,
            "whole": sum(len(p.isr) == len(p.replicas) for p in members),
            "offline": sum(p.leader is None for p in members),
            "messages": _messages(members),
        }
        for topic, members in by_topic.items()
    ]


def _messages(partitions: Sequence[Partition]) -> int | None:
    kept = [p.hw - p.start for p in partitions if p.hw is not None and p.start is not None]
    # A sum that leaves out a partition would look like lost messages.
    return sum(kept) if len(kept) == len(partitions) else None
