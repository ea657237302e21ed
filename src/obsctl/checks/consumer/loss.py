"""Records that the retention deleted before they were stored: a loss stays a finding until it is acknowledged.

The consumer stores it with its position, in the transaction that skips the missing offsets, so neither a restart nor a
change of the worker loses it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from obsctl.core.listed import listed
from obsctl.core.report import Finding, Severity
from obsctl.kafka.partition import TopicPartition


class StoredLoss(msgspec.Struct, frozen=True, kw_only=True):
    """The losses of a partition.

    Attributes:
        lost: number of offsets that the broker deleted before they were stored, since the tables were created.
        at: when the consumer noticed the latest loss (UTC, ISO 8601).
    """

    topic: str
    partition: int
    lost: int
    at: str


def judge_losses(losses: Iterable[StoredLoss]) -> Iterator[Finding]:
    """Yield a finding for each topic that lost records."""
    by_topic: dict[str, list[StoredLoss]] = {}
    for loss in losses:
        if loss.lost:
            by_topic.setdefault(loss.topic, []).append(loss)
    for topic, parts in sorted(by_topic.items()):
        lost = sum(part.lost for part in parts)
        latest = max(part.at for part in parts)
        named = [f"{TopicPartition(topic, part.partition)} {part.lost:,}" for part in parts]
        yield Finding(
            code="CONSUMER_RECORDS_LOST",
            severity=Severity.WARNING,
            object=f"topic/{topic}",
            summary=f"{lost:,} records expired by retention before they were stored "
            f"({listed(named)}), the latest noticed at {latest}",
            evidence={
                "lost": lost,
                "at": latest,
                "partitions": {str(TopicPartition(topic, part.partition)): part.lost for part in parts},
            },
            hint="the lines may still be in their hosts' log files (obsctl explain CONSUMER_RECORDS_LOST); to "
            f"acknowledge the loss: obsctl ack add CONSUMER_RECORDS_LOST topic/{topic} --reason 'why'",
        )
