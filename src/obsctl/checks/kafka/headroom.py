"""How many more brokers may fail, and what the loss of given nodes would stop. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from obsctl.checks.kafka.snapshot import Partition
from obsctl.checks.kafka.view import ClusterView, voter_is_well


class Headroom(NamedTuple):
    """How many brokers may fail, whichever they are; ``None`` if unknown, negative if too many have failed already.

    Attributes:
        writes: before the first partition refuses writes with acks=all.
        reads: before the first partition has no in-sync replica that could lead it.
        quorum: before no controller can be elected; counts voters, which in a cluster of combined nodes are brokers.
        limited_by: a partition with the smallest number for writes.
    """

    writes: int | None
    reads: int | None
    quorum: int | None
    limited_by: str = ""

    @property
    def brokers(self) -> int | None:
        """How many nodes may fail before writes stop or no controller can be elected."""
        known = [value for value in (self.writes, self.quorum) if value is not None]
        return min(known) if len(known) == 2 else None


class Loss(NamedTuple):
    """What the loss of some nodes does to a partition.

    Attributes:
        offline: no in-sync replica is left, or there is no controller to make one the leader.
        no_writes: too few in-sync replicas are left for acks=all, or the ISR cannot be shrunk to the remaining ones.
        moves: another broker becomes its leader.
    """

    partition: Partition
    offline: bool
    no_writes: bool
    moves: bool


class Outcome(NamedTuple):
    """What the loss of some nodes does to the cluster; ``quorum`` is ``None`` if the voters are not known.

    Attributes:
        voters: how many voters the quorum has, and how many of them still work afterwards.
        quorum: whether a controller can be elected afterwards.
    """

    lost: frozenset[int]
    partitions: tuple[Loss, ...]
    voters: tuple[int, int] | None
    quorum: bool | None


def writes_left(view: ClusterView, partition: Partition) -> int | None:
    """Return how many in-sync replicas may fail before acks=all is refused; negative if it is refused already.

    Brokers that do not answer count as failed. ``None`` if ISR or min ISR is not known.
    """
    if view.stale:
        return None
    if partition.leader is None:
        return -1
    return None if partition.effective_min_isr is None else len(view.live(partition)) - partition.effective_min_isr


def least_writes_left(view: ClusterView, partitions: Iterable[Partition]) -> int | None:
    """Return the minimum of :func:`writes_left`; ``None`` if a partition without a known value may have the minimum."""
    left = [writes_left(view, partition) for partition in partitions]
    least = min((spare for spare in left if spare is not None), default=None)
    return None if None in left and (least is None or least > 0) else least


def voters_left(view: ClusterView) -> int | None:
    """Return how many voters may fail before no controller can be elected; negative if none can be elected now."""
    voters = _voters(view, view.silent)
    if voters is None:
        return -1 if view.majority_lost else None
    return voters[1] - _majority(voters[0])


def headroom(view: ClusterView) -> Headroom:
    """Return the cluster's headroom; topics that are neither the inventory's nor Kafka's own do not count."""
    voters = voters_left(view)
    if view.stale:
        return Headroom(None, None, voters)
    counted = [p for p in view.partitions if view.is_ours(p)]
    writes = least_writes_left(view, counted)
    reads = [len(view.live(p)) - 1 if p.leader is not None else -1 for p in counted]
    limit = next((p.name for p in counted if writes is not None and writes_left(view, p) == writes), "")
    return Headroom(writes, min(reads, default=None), voters, limit)


def lose(view: ClusterView, lost: Collection[int]) -> Outcome:
    """Return what it would mean to lose these nodes now, all at once, besides those that do not answer.

    Without nodes, the result is for those that do not answer. Any ``lost`` of at most :func:`headroom` nodes does no
    harm.
    """
    gone = frozenset(lost) | view.silent
    voters = _voters(view, gone)
    elects = voters[1] >= _majority(voters[0]) if voters is not None else (False if view.majority_lost else None)
    return Outcome(
        lost=frozenset(lost),
        partitions=tuple(_loss(partition, gone, elects=elects is not False) for partition in view.partitions),
        voters=voters,
        quorum=elects,
    )


def _voters(view: ClusterView, gone: frozenset[int]) -> tuple[int, int] | None:
    """Return the number of voters, and how many of them work and are not lost; ``None`` without a quorum."""
    quorum = view.seen.quorum
    if quorum is None:
        return None
    well = sum(voter_is_well(quorum, voter) and voter.node_id not in gone for voter in quorum.voters)
    return len(quorum.voters), well


def _majority(voters: int) -> int:
    return voters // 2 + 1


def _loss(partition: Partition, gone: frozenset[int], *, elects: bool) -> Loss:
    left = frozenset(partition.isr) - gone
    leader_gone = partition.leader in gone
    # A partition without a leader gets none by losing more nodes. Without a controller no leader is elected, and the
    # ISR keeps dead replicas, for which every write then waits.
    offline = partition.leader is None or not left or (leader_gone and not elects)
    needed = partition.effective_min_isr or 1
    waits = not elects and not left.issuperset(partition.isr)
    return Loss(partition, offline, offline or len(left) < needed or waits, not offline and leader_gone)
