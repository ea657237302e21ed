"""What the state of a group means: for some groups ``Empty`` is normal."""

from __future__ import annotations

from obsctl.fleet.model import Fleet

_JOINING = ("PreparingRebalance", "CompletingRebalance", "Assigning", "Reconciling", "NotReady")


def in_words(fleet: Fleet, name: str, state: str, kind: str = "") -> str:
    """Return what a person should know about a group's state.

    Args:
        name: of the group.
        state: as its coordinator names it.
        kind: ``classic``, ``consumer``, ``share``, ``streams``, or empty.
    """
    if name == fleet.alerter.group:
        # The members are in the group NAME-active: this group only shows how far the active alerter has read.
        return "the alerter's progress, committed from time to time; it has no members by design"
    if name == f"{fleet.alerter.group}-active":
        return "its one member with a partition is the active alerter" if state != "Empty" else "no alerter is running"
    if state == "Empty":
        what = "no members"
        return (
            f"{what}: the consumer is not running"
            if name == fleet.consumer.group
            else f"{what}, so nothing is read for it now"
        )
    if state == "Dead":
        return "being removed: no members, no positions"
    if state in _JOINING:
        return "its members are sharing out the partitions"
    return {"share": "members share the records of each partition", "streams": "a Kafka Streams application"}.get(
        kind, ""
    )
