"""Which records of the topics of lines a replay of rules reads: those of some hours, or given offsets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from obsctl.core.errors import UsageError
from obsctl.kafka import clients, stretches
from obsctl.kafka.partition import TopicPartition
from obsctl.kafka.stretches import Stretch
from obsctl.kafka.topics import Bounds

#: Client id of a replay.
CLIENT = "obsctl-replay"


class Wanted(NamedTuple):
    """The part of a topic that a person wants to replay.

    Attributes:
        topic: its name.
        partition: None for all.
        first: offset of the first record; None for the first one kept.
        last: offset of the last record; None for the latest one.
    """

    topic: str
    partition: int | None = None
    first: int | None = None
    last: int | None = None


class Plan(NamedTuple):
    """What is to be read.

    Attributes:
        stretches: one for each partition; those without records are left out.
        gone: wanted records that no longer exist.
        since: where the clock begins, seconds since the epoch; None: at the first line. It is set only if the topics
            go back that far, because then missing lines were really not sent.
        until: where the replay ends, seconds since the epoch; None: at the last line.
    """

    stretches: list[Stretch]
    gone: list[Stretch]
    since: float | None = None
    until: float | None = None

    @property
    def records(self) -> int:
        """The most records that will be read."""
        return sum(stretch.end - stretch.first for stretch in self.stretches)


def plan_since(bootstrap: Sequence[str], topics: Sequence[str], since: float, until: float) -> Plan:
    """Plan to read what was written from one moment to another, both in seconds since the epoch.

    The records' timestamps decide where reading of a partition begins, the lines' own times where it ends.

    Raises:
        TopicMissingError: there is no such topic.
        NotAnsweredError: no broker answers, or a partition has no leader.
    """
    client = clients.admin(bootstrap, CLIENT)
    kept = stretches.bounds(client, topics)
    starts = stretches.since(client, kept.keys(), since)
    # Records before the first one that is left were deleted, and some of these may be from the wanted time.
    gone = [Stretch(part, 0, has.first) for part, has in kept.items() if 0 < has.first == starts[part]]
    found = [Stretch(part, starts[part], has.end) for part, has in kept.items() if starts[part] < has.end]
    goes_back = any(starts[part] > has.first for part, has in kept.items())
    return Plan(found, gone, since if goes_back and not gone else None, until)


def plan_ranges(bootstrap: Sequence[str], wanted: Sequence[Wanted]) -> Plan:
    """Plan to read offsets.

    Raises:
        TopicMissingError: there is no such topic.
        NotAnsweredError: no broker answers, or a partition has no leader.
        UsageError: a partition does not exist, is given twice, or never had a record at the wanted offsets.
    """
    kept = stretches.bounds(clients.admin(bootstrap, CLIENT), list(dict.fromkeys(one.topic for one in wanted)))
    found: dict[TopicPartition, Stretch] = {}
    gone: list[Stretch] = []
    for one in wanted:
        parts = [part for part in kept if part.topic == one.topic and one.partition in (None, part.partition)]
        if not parts:
            has = sum(part.topic == one.topic for part in kept)
            raise UsageError(
                f"topic {one.topic} has no partition {one.partition}",
                hint=f"its partitions are 0 to {has - 1}; --topic-range {one.topic} reads all of them",
            )
        for part in parts:
            if part in found:
                raise UsageError(f"partition {part} is given twice", hint="give each partition only one range")
            found[part], lost = _between(part, kept[part], one)
            gone += lost
    if not any(stretch.first < stretch.end for stretch in found.values()):
        there = ", ".join(f"{part} has {_offsets(kept[part])}" for part in found)
        raise UsageError(f"there is no record at these offsets: {there}")
    return Plan([stretch for stretch in found.values() if stretch.first < stretch.end], gone)


def _between(part: TopicPartition, has: Bounds, one: Wanted) -> tuple[Stretch, list[Stretch]]:
    """Return which of a partition's wanted offsets exist, and which no longer exist."""
    end = has.end if one.last is None else min(has.end, one.last + 1)
    first = has.first if one.first is None else one.first
    lost = [Stretch(part, first, min(has.first, end))] if first < min(has.first, end) else []
    return Stretch(part, max(first, has.first), end), lost


def _offsets(has: Bounds) -> str:
    return f"{has.first} to {has.end - 1}" if has.first < has.end else "none"
