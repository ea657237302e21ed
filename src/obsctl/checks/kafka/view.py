"""The cluster as the rules see it: a snapshot, facts derived from it for all rules, and how far it can be trusted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from functools import cached_property
from typing import Literal, NamedTuple

from obsctl.checks.kafka.snapshot import Broker, KafkaSnapshot, Partition, Quorum, Voter
from obsctl.core.errors import UsageError
from obsctl.core.nearest import did_you_mean
from obsctl.fleet.model import Fleet, Host

#: A voter that has not been up to date for longer than this does not count. Voters fetch every half second, and the
#: leader resigns if a majority has not fetched for two seconds.
VOTER_BEHIND_MS = 3_000
#: The same in records, for brokers that do not report the time (before 3.3).
VOTER_BEHIND_RECORDS = 1_000


class Metadata(NamedTuple):
    """How far leaders, ISR and the list of topics can be trusted.

    Attributes:
        state: ``current``: a broker that answered follows the controller; ``unproved``: no controller has confirmed
            that; ``stale``: they are from before the controller, or the connection to it, was lost.
        age_ms: time since the freshest broker that answered was last up to date with the controller; ``None`` if
            unknown.
        source: the brokers whose metadata is used.
        why: the reason for the state; empty for ``current``.
    """

    state: Literal["current", "unproved", "stale"]
    age_ms: int | None
    source: tuple[int, ...]
    why: str = ""


class ClusterView:
    """A snapshot together with its inventory."""

    def __init__(self, fleet: Fleet, seen: KafkaSnapshot) -> None:
        self.fleet = fleet
        self.seen = seen

    @cached_property
    def silent(self) -> frozenset[int]:
        """The inventory's brokers that do not answer, without those that refuse us, about which nothing is known."""
        return frozenset(b.node_id for b in self.seen.brokers if not b.answered and not b.barred)

    @cached_property
    def answered(self) -> tuple[Broker, ...]:
        """The brokers that answer."""
        return tuple(broker for broker in self.seen.brokers if broker.answered)

    @cached_property
    def topics(self) -> dict[str, list[Partition]]:
        """Topic to its partitions: the inventory's in its order, then others, then Kafka's own."""
        found: dict[str, list[Partition]] = {}
        for partition in self.seen.partitions:
            found.setdefault(partition.topic, []).append(partition)
        wanted = [topic.name for topic in self.fleet.kafka.topics]

        def place(name: str) -> tuple[int, int, str]:
            if name in wanted:
                return (0, wanted.index(name), name)
            return (2 if found[name][0].internal else 1, 0, name)

        return {name: found[name] for name in sorted(found, key=place)}

    @cached_property
    def partitions(self) -> tuple[Partition, ...]:
        """All partitions in the order of their topics, so that those that the pipeline needs are named first."""
        return tuple(partition for members in self.topics.values() for partition in members)

    def is_ours(self, partition: Partition) -> bool:
        """Return whether the pipeline needs the partition: a topic of the inventory, or one of Kafka's own."""
        return partition.internal or self.carries_lines(partition)

    def carries_lines(self, partition: Partition) -> bool:
        """Return whether the partition's topic is in the inventory; if that names none, any but Kafka's own counts."""
        return partition.topic in self._wanted if self._wanted else not partition.internal

    @cached_property
    def _wanted(self) -> frozenset[str]:
        return frozenset(topic.name for topic in self.fleet.kafka.topics)

    def live(self, partition: Partition) -> frozenset[int]:
        """Return the in-sync replicas on brokers that answer, or that are not in the inventory."""
        return frozenset(partition.isr) - self.silent

    @cached_property
    def controllers(self) -> tuple[Host, ...]:
        """The inventory's controllers."""
        return tuple(host for host in self.fleet.group("kafka") if host.kafka and "controller" in host.kafka.roles)

    @cached_property
    def majority_lost(self) -> bool:
        """Whether no controller can be elected: no broker reports one, and too few voters can be alive."""
        voters = {host.kafka.node_id for host in self.controllers if host.kafka}
        return self.seen.quorum is None and bool(voters) and len(voters - self.silent) < len(voters) // 2 + 1

    @cached_property
    def metadata(self) -> Metadata:
        """How far the brokers' metadata can be trusted."""
        source = tuple(broker.node_id for broker in self.answered)
        if self.seen.quorum is not None:
            return _aged(self.seen.quorum, source)
        if self.majority_lost:
            alive = len(self.controllers) - sum(
                host.kafka is not None and host.kafka.node_id in self.silent for host in self.controllers
            )
            return Metadata("stale", None, source, f"only {alive} of {len(self.controllers)} controllers can be up")
        if len(source) == 1 and len(self.silent) == len(self.seen.brokers) - 1 > 0:
            return Metadata("stale", None, source, f"only broker {source[0]} answers, and no controller")
        if not any(broker.registered for broker in self.answered):
            return Metadata("stale", None, source, "the brokers that answer are fenced, and no controller answers")
        return Metadata("unproved", None, source, "no controller answers, so their age is unknown")

    @property
    def stale(self) -> bool:
        """Whether leaders and ISR are only the last known ones."""
        return self.metadata.state == "stale"

    def host_of(self, node_id: int) -> Host | None:
        """Return the inventory's host of a broker or controller."""
        hosts = (host for host in self.fleet.group("kafka") if host.kafka and host.kafka.node_id == node_id)
        return next(hosts, None)

    def on(self, node_id: int, command: str) -> str:
        """Return a command with the host to type it on."""
        host = self.host_of(node_id)
        return f"on {host.name if host else f'node {node_id}'}: {command}"

    @property
    def tool_broker(self) -> Broker:
        """The broker on whose host to run Kafka's own tools: one that answers, if there is any."""
        registered = [broker for broker in self.answered if broker.registered]
        return (registered or list(self.answered) or list(self.seen.brokers))[0]

    def kafka_cli(self, tool: str, options: str, *, before: str = "") -> str:
        """Return a command line of Kafka's own tools, and the host to type it on."""
        broker = self.tool_broker
        return f"on {broker.host}: {before}{self.fleet.kafka_tool(tool, broker.address, options)}"


def _aged(quorum: Quorum, source: tuple[int, ...]) -> Metadata:
    """Return how far the metadata of brokers that follow this quorum, or should, can be trusted."""
    followers = [replica for replica in (*quorum.voters, *quorum.observers) if replica.node_id in source]
    majority = len(quorum.voters) // 2 + 1
    if not followers:
        return Metadata("unproved", None, source, "the controller lists none of the brokers that answer")
    well = [voter for voter in quorum.voters if voter_is_well(quorum, voter)]
    current = [follower for follower in followers if voter_is_well(quorum, follower)]
    if len(well) >= majority and current:
        ages = [follower.behind_ms for follower in current if follower.behind_ms is not None]
        return Metadata("current", min(ages, default=None), source)
    if len(quorum.voters) - sum(_fell_behind(quorum, voter) for voter in quorum.voters) < majority:
        return Metadata("stale", None, source, "the controller has lost the majority of its voters")
    if all(_fell_behind(quorum, follower) for follower in followers):
        return Metadata("stale", None, source, "no broker that answers still follows the controller")
    # A new leader knows nothing about a voter that has not fetched from it yet.
    return Metadata("unproved", None, source, "the controller was elected a moment ago")


def _fell_behind(quorum: Quorum, voter: Voter) -> bool:
    """Return whether it is proved that a voter does not keep up; a voter unknown to a new leader does not count."""
    leader = next((other for other in quorum.voters if other.node_id == quorum.leader), None)
    timed = leader is not None and leader.behind_ms is not None
    return not voter_is_well(quorum, voter) and (voter.behind_ms is not None or not timed)


def voter_is_well(quorum: Quorum, voter: Voter) -> bool:
    """Return whether the quorum can count on this voter (or a broker on what it follows)."""
    leader = next((other for other in quorum.voters if other.node_id == quorum.leader), None)
    if leader is None or leader.behind_ms is None:
        return voter.lag <= VOTER_BEHIND_RECORDS
    return voter.behind_ms is not None and voter.behind_ms <= VOTER_BEHIND_MS


def no_topic(names: Sequence[str], known: Iterable[str]) -> UsageError:
    """Return the error for topics that the cluster does not have."""
    hint = did_you_mean(names, known, "obsctl kafka topics lists the topics")
    return UsageError(f"the cluster has no topic {', '.join(names)}", hint=hint)


def nodes(ids: Collection[object]) -> str:
    """Return ids as words: ``1``, ``1 and 3``, ``1, 2 and 3``."""
    *rest, last = sorted(map(str, ids), key=lambda name: (len(name), name))
    return f"{', '.join(rest)} and {last}" if rest else last


def brokers(ids: Collection[object]) -> str:
    """Return broker ids with their noun: ``broker 1``, ``brokers 1 and 3``."""
    return f"broker{'s' if len(ids) > 1 else ''} {nodes(ids)}"


def leaders_of(partitions: tuple[Partition, ...]) -> Counter[int | None]:
    """Return how many partitions each broker leads; those without a leader are under ``None``."""
    return Counter(partition.leader for partition in partitions)
