"""How many more brokers may be lost, and what the loss of given nodes would stop. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from obsctl.checks.kafka.snapshot import Partition
from obsctl.checks.kafka.view import ClusterView, voter_is_well


class Headroom(NamedTuple):
    """How many brokers may be lost, whichever they are; ``None`` where it is not known, below 0 where it is too late.

    Attributes:
        writes: until the first partition takes no more writes with acks=all.
        reads: until the first partition has no in-sync replica that could lead it.
        quorum: until no controller can be elected; voters, which are brokers in a cluster of combined nodes.
        limited_by: a partition with the least left for writes.
    """

    writes: int | None
    reads: int | None
    quorum: int | None
    limited_by: str = ""

    @property
    def brokers(self) -> int | None:
        """How many nodes may be lost before writes stop or no controller can be elected."""
        known = [value for value in (self.writes, self.quorum) if value is not None]
        return min(known) if len(known) == 2 else None


class Loss(NamedTuple):
    """What the loss of some nodes does to a partition.

    Attributes:
        offline: nobody that is in sync is left, or nobody can elect one that is.
        no_writes: too few in-sync replicas are left for acks=all, or the ISR cannot be shrunk to those that are left.
        moves: another broker becomes its leader.
    """

    partition: Partition
    offline: bool
    no_writes: bool
    moves: bool


class Outcome(NamedTuple):
    """What the loss of some nodes does to the cluster; ``quorum`` is ``None`` where the voters are not known.

    Attributes:
        voters: how many voters the quorum has, and how many of them are well afterwards.
        quorum: whether a controller can be elected afterwards.
    """

    lost: frozenset[int]
    partitions: tuple[Loss, ...]
    voters: tuple[int, int] | None
    quorum: bool | None


def writes_left(view: ClusterView, partition: Partition) -> int | None:
    """Return how many in-sync replicas may be lost before acks=all is refused, below 0 where it is refused already.

    Brokers that do not answer are lost already. ``None`` where ISR or min ISR is not known.
    """
    if view.stale:
        return None
    if partition.leader is None:
        return -1
    return None if partition.effective_min_isr is None else len(view.live(partition)) - partition.effective_min_isr


def least_writes_left(view: ClusterView, partitions: Iterable[Partition]) -> int | None:
    """Return the least of :func:`writes_left`; ``None`` where a partition of which it is not known may be the least."""
    left = [writes_left(view, partition) for partition in partitions]
    least = min((spare for spare in left if spare is not None), default=None)
    return None if None in left and (least is None or least > 0) else least


def voters_left(view: ClusterView) -> int | None:
    """Return how many voters may be lost before no controller can be elected, below 0 where none can be."""
    voters = _voters(view, view.silent)
    if voters is None:
        return -1 if view.majority_lost else None
    return voters[1] - _majority(voters[0])


def headroom(view: ClusterView) -> Headroom:
    """Return what may be lost in the whole; topics that are neither the inventory's nor Kafka's own do not count."""
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

    Without any, what those that do not answer mean: :func:`headroom` is how many more ``lost`` may have at least.
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
    """Return how many voters there are, and how many of them are well and not gone; ``None`` without a quorum."""
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
    # What has no leader now gets none by losing more. Without a controller nobody becomes leader, and the ISR keeps
    # its dead, for whom every write then waits.
    offline = partition.leader is None or not left or (leader_gone and not elects)
    needed = partition.effective_min_isr or 1
    waits = not elects and not left.issuperset(partition.isr)
    return Loss(partition, offline, offline or len(left) < needed or waits, not offline and leader_gone)
