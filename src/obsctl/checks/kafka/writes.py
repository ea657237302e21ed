"""Whether producers with acks=all can still write, as text, derived from the cluster's headroom. Pure."""

from __future__ import annotations

from obsctl.checks.kafka.headroom import headroom, lose
from obsctl.checks.kafka.snapshot import KafkaSnapshot
from obsctl.checks.kafka.view import ClusterView, voter_is_well
from obsctl.fleet.model import Fleet

_UNKNOWN = "not known"


def writes(fleet: Fleet, seen: KafkaSnapshot) -> str:
    """Return :func:`in_words` for a headline; empty for a healthy cluster, and if unknown."""
    view = ClusterView(fleet, seen)
    if _lacks_nothing(view):
        return ""
    words = in_words(view)
    return "" if words == _UNKNOWN else words


def in_words(view: ClusterView) -> str:
    """Return whether writes with acks=all still work, and how many more nodes may fail.

    A broker that does not answer counts as failed, whatever the metadata says: without a controller, and in the first
    seconds after a failure, the metadata still lists the broker. Topics that are neither the inventory's nor Kafka's
    own do not count.
    """
    if not view.answered:
        all_silent = len(view.silent) == len(view.seen.brokers) > 0
        return "nothing can be written; Filebeat keeps the lines" if all_silent else _UNKNOWN
    now, spare = lose(view, ()), headroom(view)
    lines = [loss for loss in now.partitions if view.carries_lines(loss.partition)]
    if stopped := sum(loss.no_writes for loss in lines):
        return f"writes stop on {stopped} of {len(lines)} partitions; Filebeat keeps the lines"
    if now.quorum is False:
        return "writes continue as long as every broker stays up: no leader can be elected"
    if view.stale:
        return _UNKNOWN
    if waiting := sum(loss.moves for loss in lines):
        return f"writes wait on {waiting} of {len(lines)} partitions until another broker leads them"
    if spare.writes is not None and spare.writes < 0:
        return f"writes of lines continue; {spare.limited_by}, Kafka's own, accepts none"
    if spare.writes == 0:
        return "writes continue, one more broker down stops them"
    if spare.brokers is None:
        return _UNKNOWN
    if spare.brokers == 0:
        return "writes continue, one more controller down and no leader can be elected"
    return f"writes continue, {spare.brokers} more {'node' if spare.brokers == 1 else 'nodes'} may be lost"


def _lacks_nothing(view: ClusterView) -> bool:
    quorum = view.seen.quorum
    return (
        not view.silent
        and all(p.leader is not None and not p.missing for p in view.partitions if view.is_ours(p))
        and (quorum is None or all(voter_is_well(quorum, voter) for voter in quorum.voters))
    )
