"""Findings about unread records that the retention has deleted or is about to delete. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from obsctl.checks.lag.rules import Expiry
from obsctl.core.listed import listed
from obsctl.core.report import Finding, Severity
from obsctl.fleet.model import Fleet
from obsctl.kafka.partition import TopicPartition


class Unread(NamedTuple):
    """A group's unread records in one partition, and when the oldest of them will be deleted."""

    part: TopicPartition
    records: int
    expiry: Expiry


def ours(fleet: Fleet) -> set[str]:
    """Return the pipeline's own groups, which matter even without members."""
    return {fleet.consumer.group, fleet.alerter.group, f"{fleet.alerter.group}-active"}


def is_abandoned(fleet: Fleet, group: str, state: str) -> bool:
    """Return whether a group is abandoned: it has no members and is not one of ours."""
    return state in ("Empty", "Dead") and group not in ours(fleet)


def expired(fleet: Fleet, group: str, gone: Mapping[str, int]) -> Iterator[Finding]:
    """Yield a finding that the retention has passed a group's position.

    Args:
        gone: partitions as ``TOPIC/PARTITION``, with the number of offsets that were deleted before the group read
            them.
    """
    if gone:
        yield Finding(
            code="KAFKA_UNREAD_EXPIRED",
            severity=Severity.WARNING,
            object=f"group/{group}",
            summary=f"the committed offset is below the log's start: {sum(gone.values()):,} offsets were deleted "
            f"before they were read, in {listed(sorted(gone))}",
            evidence={"gone": sum(gone.values()), "partitions": dict(gone)},
            hint="the lines may still be in their hosts' log files: obsctl explain KAFKA_UNREAD_EXPIRED"
            if group in ours(fleet)
            else "its program continues where its auto.offset.reset says; a longer retention.ms keeps records longer",
        )


def expiring(fleet: Fleet, group: str, unread: Sequence[Unread], *, exact: bool) -> Iterator[Finding]:
    """Yield a finding that the retention is about to delete a group's unread records.

    Args:
        unread: of the group; records that are not in danger are ignored.
        exact: whether the time left is known exactly, or only its upper bound.
    """
    hit = [one for one in unread if one.expiry.verdict]
    if not hit:
        return
    left = {str(one.part): round(one.expiry.left_s) for one in hit}
    first = min(one.expiry.left_s for one in hit)
    if first > 0:
        when = f"{'in' if exact else 'within'} {seconds(first)}"
    else:
        when = (f"since {seconds(-first)}, " if exact else "") + "at Kafka's next retention check"
    records = sum(one.records for one in hit)
    yield Finding(
        code="KAFKA_UNREAD_EXPIRING",
        severity=Severity.CRITICAL if any(one.expiry.verdict == "critical" for one in hit) else Severity.WARNING,
        object=f"group/{group}",
        summary=f"retention deletes unread records, the first ones {when}: {records:,} records in {listed(list(left))}",
        evidence={"left_s" if exact else "left_at_most_s": round(first), "lag": records, "partitions": left},
        hint=f"to keep records for 14 days, {_keep_longer(fleet, hit[0].part.topic)}; to see why they are not read: "
        + ("obsctl health" if exact else "obsctl kafka lag"),
    )


def _keep_longer(fleet: Fleet, topic: str) -> str:
    broker = next(iter(fleet.brokers()), "HOST:PORT")
    host = next((host.name for host in fleet.group("kafka")), "a broker")
    longer = f"--alter --entity-type topics --entity-name {topic} --add-config retention.ms=1209600000"
    return f"on {host}: {fleet.kafka_tool('configs', broker, longer)}"


def seconds(span: float) -> str:
    """Return a duration in a unit that suits people."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if span >= 2 * size:
            return f"{span / size:.0f} {unit}"
    return f"{span:.0f} s"
