"""Reads ranges of partitions, from one offset to another, for commands: once, and without a group.

Each partition can be paused and resumed, so that a merging reader need not buffer one that is ahead of the others.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import confluent_kafka
from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from obsctl.kafka import clients, end_offsets
from obsctl.kafka.partition import TopicPartition
from obsctl.kafka.topic_log import TIMEOUT_S, NotAnsweredError, ends_reading, judged
from obsctl.kafka.topics import Bounds

#: The most records of a poll.
_BATCH = 2000
#: How long a poll waits for records, seconds.
_WAIT_S = 0.1
#: After this time without any record, partitions count as not answering, seconds.
_SILENT_S = 10.0


class Stretch(NamedTuple):
    """A part of a partition's log; its text form is ``TOPIC:PARTITION:FIRST-LAST``, both inclusive.

    Attributes:
        part: the partition.
        first: offset of the first record.
        end: offset after the last one.
    """

    part: TopicPartition
    first: int
    end: int

    def __str__(self) -> str:
        return f"{self.part.topic}:{self.part.partition}:{self.first}-{self.end - 1}"


class Record(NamedTuple):
    """One record.

    Attributes:
        part: its partition.
        offset: in the partition.
        value: empty if there is none.
    """

    part: TopicPartition
    offset: int
    value: bytes


def bounds(client: AdminClient, topics: Collection[str]) -> dict[TopicPartition, Bounds]:
    """Ask for the first and end offsets of each partition of some topics.

    Raises:
        TopicMissingError: one of the topics does not exist.
        NotAnsweredError: no broker answers, or a partition has no leader.
    """
    try:
        parts: list[TopicPartition] = []
        for topic in topics:
            found = client.list_topics(topic, timeout=TIMEOUT_S).topics[topic]
            if found.error is not None:
                raise judged(found.error, topic)
            parts += [TopicPartition(topic, part) for part in sorted(found.partitions)]
        firsts = _answered(end_offsets.firsts(client, parts, TIMEOUT_S))
        ends = _answered(end_offsets.ask(client, parts, TIMEOUT_S))
    except KafkaException as error:
        raise judged(error.args[0], ", ".join(topics)) from None
    return {part: Bounds(firsts[part], ends[part]) for part in parts}


def since(client: AdminClient, parts: Collection[TopicPartition], moment: float) -> Mapping[TopicPartition, int]:
    """Ask for each partition's first record since a given time; the end if there is none.

    Args:
        moment: seconds since the epoch, compared with the records' own timestamps.

    Raises:
        NotAnsweredError: no broker answers, or a partition has no leader.
    """
    try:
        return _answered(end_offsets.since(client, parts, moment, TIMEOUT_S))
    except KafkaException as error:
        raise NotAnsweredError(f"Kafka does not answer: {error.args[0].str()}") from None


class StretchReader:
    """Reads several ranges at the same time.

    Args:
        bootstrap: brokers as ``HOST:PORT``.
        stretches: at most one for each partition.
        client_id: the name under which the brokers know this reader.

    Attributes:
        open: the partitions whose range has not been read to its end.
        gone: how many records had been deleted before they were read.
    """

    def __init__(self, bootstrap: Sequence[str], stretches: Sequence[Stretch], client_id: str) -> None:
        self._ends = {stretch.part: stretch.end for stretch in stretches if stretch.first < stretch.end}
        self._next = {stretch.part: stretch.first for stretch in stretches}
        self.open = set(self._ends)
        self.gone: list[Stretch] = []
        self._held: set[TopicPartition] = set()
        self._waited_s = 0.0
        self._client = Consumer(
            clients.settings(bootstrap, client_id)
            | clients.READ_ON
            | {
                # The library wants a name; no member ever joins, and nothing is committed.
                "group.id": client_id,
                "enable.auto.commit": False,
                # Records that were deleted meanwhile are skipped by :meth:`_skip`, which counts them.
                "auto.offset.reset": "error",
                "allow.auto.create.topics": False,
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 100,
                "queued.max.messages.kbytes": 16384,
                "log_level": 0,
            }
        )
        self._assign()

    def poll(self) -> list[Record]:
        """Return the records that arrive within a poll's wait.

        Raises:
            TopicMissingError: the topic was deleted.
            NotAllowedError: our user may not read it.
            NotAnsweredError: the client cannot continue, or nothing has arrived for ten seconds.
        """
        records: list[Record] = []
        messages = self._client.consume(_BATCH, _WAIT_S)
        for message in messages:
            error, offset = message.error(), message.offset()
            part = TopicPartition(message.topic() or "", message.partition() if message.partition() is not None else -1)
            if error is None and offset is not None:
                if part in self.open and offset >= self._next[part]:
                    records += self._take(part, offset, message.value() or b"")
            elif error is not None and error.code() == KafkaError._PARTITION_EOF:
                # The missing offsets up to the range's end are markers of transactions.
                self.leave(part)
            elif error is not None and error.code() == KafkaError._AUTO_OFFSET_RESET:
                self._skip(part)
            elif error is not None and (end := ends_reading(error, part.topic)) is not None:
                raise end
        self._waited_s = 0.0 if messages or not self.open else self._waited_s + _WAIT_S
        if self._waited_s > _SILENT_S:
            silent = ", ".join(map(str, sorted(self.open - self._held)))
            raise NotAnsweredError(f"records of {silent} could not be read to their end: the brokers do not answer")
        return records

    def hold(self, part: TopicPartition) -> None:
        """Pause reading of a partition."""
        if part in self.open and part not in self._held:
            self._held.add(part)
            self._client.pause([_place(part)])

    def go_on(self, part: TopicPartition) -> None:
        """Resume reading of a paused partition."""
        if part in self._held:
            self._held.discard(part)
            self._client.resume([_place(part)])

    def leave(self, part: TopicPartition) -> None:
        """Stop reading a partition."""
        if part in self.open:
            self.open.discard(part)
            self._held.discard(part)
            self._client.pause([_place(part)])

    def close(self) -> None:
        """Leave the cluster."""
        self._client.close()

    def _take(self, part: TopicPartition, offset: int, value: bytes) -> list[Record]:
        end = self._ends[part]
        self._next[part] = offset + 1
        if offset + 1 >= end:
            self.leave(part)
        return [Record(part, offset, value)] if offset < end else []

    def _skip(self, part: TopicPartition) -> None:
        """Skip to the first record that a partition still has."""
        if part not in self.open:
            return
        try:
            first, _ = self._client.get_watermark_offsets(_place(part), timeout=TIMEOUT_S)
        except KafkaException as error:
            raise judged(error.args[0], part.topic) from None
        expected, end = self._next[part], self._ends[part]
        self.gone.append(Stretch(part, expected, min(first, end)))
        self._next[part] = first
        if first >= end:
            self.leave(part)
        self._assign()

    def _assign(self) -> None:
        self._client.assign([_place(part, self._next[part]) for part in self.open])
        if self._held:
            self._client.pause([_place(part) for part in self._held])


def _place(part: TopicPartition, offset: int = confluent_kafka.OFFSET_INVALID) -> confluent_kafka.TopicPartition:
    return confluent_kafka.TopicPartition(part.topic, part.partition, offset)


def _answered(found: end_offsets.EndOffsets) -> dict[TopicPartition, int]:
    for part, fault in found.faults.items():
        raise NotAnsweredError(f"partition {part} does not answer: {fault}")
    return found.ends
