"""Moves a partition's position on purpose, after showing the consequences.

The consumers may run: the position is moved under the lock that their transactions begin with, and the next transaction
of a consumer that starts from the old position is fenced. It then queries the position, as after any other fence. For
a partition without new lines it does so every ten seconds.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import msgspec
from confluent_kafka import KafkaException

from obsctl.consumer import config
from obsctl.core.errors import ObsctlError, RefusedError
from obsctl.core.nearest import did_you_mean
from obsctl.kafka import clients, topics
from obsctl.kafka.partition import TopicPartition
from obsctl.store.interface import StoreUnavailableError
from obsctl.store.mysql.operations import MySQLOperations

EARLIEST, LATEST = "earliest", "latest"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The consequences of moving a position (offsets, and numbers of offsets).

    Attributes:
        position: the present position.
        first: the first offset that the broker has.
        end: the next one to be written there.
        target: the new position.
        read_again: number of offsets that are read again; each line stays one row.
        skipped: number of offsets that the broker has and that will not be read.
        gone: number of offsets between position and target that the broker no longer has.
    """

    topic: str
    partition: int
    cluster_id: str
    topic_id: str
    source_id: int
    position: int
    first: int
    end: int
    target: int
    read_again: int
    skipped: int
    gone: int

    @property
    def part(self) -> TopicPartition:
        """The partition."""
        return TopicPartition(self.topic, self.partition)

    def in_words(self) -> str:
        """Return the plan as a sentence for people."""
        if self.target == self.position:
            return f"{self.part} is at {self.position} already: there is nothing to move"
        effects = []
        if self.read_again:
            effects.append(f"{self.read_again} offsets are read again, and no line is stored a second time")
        if self.skipped:
            effects.append(f"{self.skipped} offsets are skipped: lines in them that are not stored yet never will be")
        if self.gone:
            effects.append(f"{self.gone} offsets that the broker no longer has are skipped")
        if self.position > self.end:
            effects.append(f"the position is {self.position - self.end} offsets beyond the partition's end")
        return (
            f"{self.part} moves from {self.position} to {self.target}"
            f" (the broker has {self.first} to {self.end}): {'; '.join(effects) or 'no offset is skipped'}"
        )


def weigh(position: int, bounds: topics.Bounds, target: int) -> tuple[int, int, int]:
    """Return how many offsets are read again, skipped, and lost when a position moves to a target.

    Args:
        target: within the bounds.
    """
    read_again = max(min(position, bounds.end) - target, 0)
    skipped = max(target - max(position, bounds.first), 0)
    gone = max(min(bounds.first, target) - position, 0)
    return read_again, skipped, gone


def plan(settings: config.Config, part: TopicPartition, to: str) -> Plan:
    """Return the consequences of moving a partition's position; change nothing.

    Args:
        to: ``earliest``, ``latest`` or an offset.

    Raises:
        RefusedError: there is no such partition or position, or the broker does not have the offset.
        ObsctlError: the brokers or the database do not answer.
    """
    with _in_words():
        client = clients.admin(settings.kafka.brokers, f"{settings.kafka.group}-reset")
        cluster = topics.identify(client, [part.topic])
        if part.topic not in cluster.topic_ids:
            there = client.list_topics(timeout=topics.TIMEOUT_SECONDS).topics
            hint = did_you_mean(part.topic, there, "obsctl kafka topics lists the topics")
            raise RefusedError(f"the cluster has no topic {part.topic}", hint=hint)
        topic = client.list_topics(part.topic, timeout=topics.TIMEOUT_SECONDS).topics[part.topic]
        if part.partition not in topic.partitions:
            raise RefusedError(
                f"{part.topic} has no partition {part.partition}", hint=f"it has 0 to {len(topic.partitions) - 1}"
            )
        bounds = topics.bounds(client, part)
        with _store(settings) as store:
            found = store.position(cluster.cluster_id, part, cluster.topic_ids[part.topic])
    if found is None:
        raise RefusedError(
            f"the database has no position of {part} with its current topic id",
            hint="the consumer creates one when it first reads the partition, and begins at the first offset",
        )
    target = {EARLIEST: bounds.first, LATEST: bounds.end}.get(to)
    target = int(to) if target is None else target
    if not bounds.first <= target <= bounds.end:
        raise RefusedError(
            f"the broker has offsets {bounds.first} to {bounds.end} of {part}, not {target}",
            hint="give one of these, or --to earliest or --to latest",
        )
    read_again, skipped, gone = weigh(found.next_offset, bounds, target)
    return Plan(
        topic=part.topic,
        partition=part.partition,
        cluster_id=cluster.cluster_id,
        topic_id=cluster.topic_ids[part.topic],
        source_id=found.source_id,
        position=found.next_offset,
        first=bounds.first,
        end=bounds.end,
        target=target,
        read_again=read_again,
        skipped=skipped,
        gone=gone,
    )


def carry_out(settings: config.Config, planned: Plan, *, at_least: int) -> Plan:
    """Move the position; return the plan as carried out, as a consumer may have moved the position meanwhile.

    Args:
        at_least: the position that the person has seen. It may have advanced since: then less is skipped, or more is
            read again, and nothing is lost. If it is lower, another reset has moved it, and more would be skipped than
            the person agreed to.

    Raises:
        RefusedError: the position is below ``at_least``; nothing was moved.
        ObsctlError: the database does not answer; it is unknown whether the position was moved.
    """
    if planned.target == planned.position:
        return planned
    with _in_words(), _store(settings) as store:
        was = store.move(planned.source_id, planned.target, at_least=at_least)
    if was is None:
        raise RefusedError(
            f"nothing was moved: the position of {planned.part} was moved back by another reset, below {at_least}",
            hint="the same command with --dry-run shows where it is now",
        )
    end = planned.end if was == planned.position else max(planned.end, was)
    read_again, skipped, gone = weigh(was, topics.Bounds(planned.first, end), planned.target)
    return msgspec.structs.replace(planned, position=was, read_again=read_again, skipped=skipped, gone=gone)


@contextlib.contextmanager
def _store(settings: config.Config) -> Iterator[MySQLOperations]:
    store = MySQLOperations(settings.database)
    try:
        yield store
    finally:
        store.close()


@contextlib.contextmanager
def _in_words() -> Iterator[None]:
    """Turn errors of the brokers and the database into errors for people."""
    try:
        yield
    except KafkaException as error:
        raise ObsctlError(
            f"Kafka: {error.args[0].str()}",
            hint="check that the brokers are up and that the partition has a leader: obsctl kafka partitions",
        ) from None
    except StoreUnavailableError as error:
        raise ObsctlError(str(error), hint=error.hint) from None
