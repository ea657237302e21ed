"""Reads all partitions of a topic from a given time on, without a group; and writes with acks=all."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import confluent_kafka
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer

from obsctl.core.errors import ConfigError, ObsctlError
from obsctl.kafka import clients, end_offsets
from obsctl.kafka.partition import TopicPartition

#: Time limit for an answer of the brokers, seconds.
TIMEOUT_S = 5.0
#: In place of a time: only records that are written from now on.
END = float("inf")
#: The most records of a poll.
_BATCH = 1000
#: How long a poll waits for records, seconds.
_WAIT_S = 0.1
#: If no record arrives for this time before the topic's end, the brokers count as not answering, seconds.
_SILENT_S = 10.0
#: The errors for a topic that does not exist.
MISSING = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION)

#: The errors for a user without a right to the topic, or, for a writer, to any topic.
DENIED = (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED)


class TopicMissingError(ConfigError):
    """The cluster has no topic of this name."""


class NotAnsweredError(ObsctlError):
    """The brokers do not answer, or do not accept the records."""


class NotAllowedError(NotAnsweredError):
    """The brokers do not let our user read or write the topic; it is unknown whether it exists."""


class Record(NamedTuple):
    """One record.

    Attributes:
        partition: its number.
        offset: in the partition.
        key: empty for none.
        value: None if the record deletes its key.
    """

    partition: int
    offset: int
    key: bytes
    value: bytes | None


class TopicLog:
    """Reads all partitions of a topic.

    Args:
        bootstrap: brokers as ``HOST:PORT``.
        topic: its name.
        client_id: the name under which the brokers know this reader.
        since: only records written at this time or later, seconds since the epoch, or :data:`END`; None for
            everything.
        timeout_s: time limit for each of two answers of the brokers, seconds.

    Raises:
        TopicMissingError: there is no such topic.
        NotAnsweredError: no broker answers.
    """

    def __init__(
        self,
        bootstrap: Sequence[str],
        topic: str,
        client_id: str,
        *,
        since: float | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._topic = topic
        self._client = Consumer(
            clients.settings(bootstrap, client_id)
            | {
                # The library requires a group name; no member ever joins it, and nothing is committed.
                "group.id": client_id,
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "allow.auto.create.topics": False,
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 100,
                "log_level": 0,
            }
        )
        try:
            starts = self._starts(bootstrap, client_id, since, timeout_s)
            self._client.assign([confluent_kafka.TopicPartition(topic, part, at) for part, at in starts.items()])
        except BaseException:
            self._client.close()
            raise
        self._unread = set(starts)
        #: Next offset to read, by partition; negative if unknown.
        self._positions = dict(starts)

    @property
    def at_end(self) -> bool:
        """Whether every partition has been read to its end."""
        return not self._unread

    def poll(self, timeout_s: float) -> list[Record]:
        """Return the records that arrive within a time limit.

        Raises:
            TopicMissingError: the topic was deleted.
            NotAllowedError: our user may not read it.
            NotAnsweredError: the client cannot continue.
        """
        records = []
        for message in self._client.consume(_BATCH, timeout_s):
            error, partition, offset = message.error(), message.partition(), message.offset()
            if error is None:
                assert partition is not None and offset is not None  # noqa: S101, PT018  every record has a place
                records.append(Record(partition, offset, message.key() or b"", message.value()))
                self._positions[partition] = offset + 1
            elif error.code() == KafkaError._PARTITION_EOF:
                self._unread.discard(partition if partition is not None else -1)
            elif (end := ends_reading(error, self._topic)) is not None:
                raise end
        return records

    @property
    def behind(self) -> int:
        """How many records are known to be unread."""
        return sum(max(0, end - self._positions[partition]) for partition, end in self._ends().items())

    def skip_to_end(self) -> int:
        """Skip the records that are known to be unread; return their number."""
        skipped = self.behind
        self._positions |= {part: max(end, self._positions[part]) for part, end in self._ends().items()}
        self._client.assign(
            [confluent_kafka.TopicPartition(self._topic, part, at) for part, at in self._positions.items()]
        )
        return skipped

    def ask(self, timeout_s: float) -> bool:
        """Check that the topic exists; return whether its partitions differ from those that are read.

        Args:
            timeout_s: seconds that the brokers may take for the answer.

        Raises:
            TopicMissingError: the topic was deleted.
            NotAllowedError: our user may not see it.
            NotAnsweredError: no broker answers; a later :meth:`poll` continues when one is back.
        """
        try:
            topic = self._client.list_topics(self._topic, timeout=timeout_s).topics[self._topic]
        except KafkaException as error:
            raise judged(error.args[0], self._topic) from None
        if topic.error is not None:
            raise judged(topic.error, self._topic)
        return set(topic.partitions) != set(self._positions)

    def close(self) -> None:
        """Leave the cluster."""
        self._client.close()

    def _ends(self) -> dict[int, int]:
        """Return the end of each partition by its last answer, if position and end are known."""
        ends = {}
        for partition, position in self._positions.items():
            place = confluent_kafka.TopicPartition(self._topic, partition)
            known = self._client.get_watermark_offsets(place, cached=True)
            if position >= 0 and known is not None and known[1] >= 0:
                ends[partition] = int(known[1])
        return ends

    def _starts(
        self, bootstrap: Sequence[str], client_id: str, since: float | None, timeout_s: float
    ) -> Mapping[int, int]:
        try:
            # Asked by a separate client: a reading client would cache that a topic does not exist yet.
            admin = clients.admin(bootstrap, client_id)
            topic = admin.list_topics(self._topic, timeout=timeout_s).topics[self._topic]
            if topic.error is not None:
                raise judged(topic.error, self._topic)
            if since is None:
                return dict.fromkeys(topic.partitions, confluent_kafka.OFFSET_BEGINNING)
            parts = [TopicPartition(self._topic, part) for part in topic.partitions]
            found = (
                end_offsets.ask(admin, parts, timeout_s)
                if since == END
                else end_offsets.since(admin, parts, since, timeout_s)
            )
        except KafkaException as error:
            raise judged(error.args[0], self._topic) from None
        for part, fault in found.faults.items():
            raise NotAnsweredError(f"partition {part} does not answer: {fault}")
        return {part.partition: start for part, start in found.ends.items()}


def read(bootstrap: Sequence[str], topic: str, client_id: str, *, since: float | None = None) -> Iterator[Record]:
    """Yield a topic's records from a given time on to its end, in the order of each partition.

    Args:
        bootstrap: brokers as ``HOST:PORT``.
        topic: its name.
        client_id: the name under which the brokers know this reader.
        since: only records written at this time or later, seconds since the epoch; None for everything.

    Raises:
        TopicMissingError: there is no such topic.
        NotAnsweredError: no broker answers, or a partition has no leader.
    """
    log = TopicLog(bootstrap, topic, client_id, since=since)
    try:
        moved_at = time.monotonic()
        while not log.at_end:
            found = log.poll(_WAIT_S)
            yield from found
            if found:
                moved_at = time.monotonic()
            elif not log.at_end and time.monotonic() - moved_at > _SILENT_S:
                raise NotAnsweredError(f"topic {topic} could not be read to its end: the brokers do not answer")
    finally:
        log.close()


def write(bootstrap: Sequence[str], topic: str, client_id: str, records: Iterable[tuple[bytes, bytes | None]]) -> None:
    """Write records in order; returns when all in-sync replicas have them.

    Args:
        bootstrap: brokers as ``HOST:PORT``.
        topic: its name.
        client_id: the name under which the brokers know this writer.
        records: key and value of each; None deletes the key from a compacted topic.

    Raises:
        TopicMissingError: there is no such topic; nothing was written.
        NotAllowedError: our user may not write it; nothing was written.
        NotAnsweredError: not acknowledged; it is unknown which records were written.
    """
    producer = Producer(writer_settings(bootstrap, client_id))
    check_writable(producer, topic)
    failure: KafkaError | None = None

    def delivered(error: KafkaError | None, _: object) -> None:
        # Do not call the library in here: while it returns records, a fatal error may be pending.
        nonlocal failure
        failure = failure or error

    try:
        for key, value in records:
            producer.produce(topic, key=key, value=value, on_delivery=delivered)
        open_still = producer.flush(2 * TIMEOUT_S + 1)
    except KafkaException as error:
        # Fatal, such as no right to write to any topic (KIP-679).
        raise judged(error.args[0], topic) from None
    if failure is not None and failure.code() in DENIED:
        raise judged(failure, topic)
    if failure is not None:
        raise NotAnsweredError(f"topic {topic}: not acknowledged: {failure.str()}")
    if open_still:
        raise NotAnsweredError(f"topic {topic}: not acknowledged in time")


def writer_settings(bootstrap: Sequence[str], client_id: str) -> dict[str, object]:
    """Return the settings of a producer whose records arrive in order, once, and in all in-sync replicas."""
    return clients.settings(bootstrap, client_id) | {
        "acks": "all",
        "enable.idempotence": True,
        "allow.auto.create.topics": False,
        "message.timeout.ms": int(2 * TIMEOUT_S * 1000),
        "linger.ms": 5,
        "log_level": 0,
    }


def check_writable(producer: Producer, topic: str) -> None:
    """Check that the topic exists: for a missing one the library would wait half a minute.

    Raises:
        TopicMissingError: there is no such topic.
        NotAnsweredError: no broker answers.
    """
    try:
        found = producer.list_topics(topic, timeout=TIMEOUT_S).topics[topic]
    except KafkaException as error:
        raise judged(error.args[0], topic) from None
    if found.error is not None:
        raise judged(found.error, topic)


def ends_reading(error: KafkaError, topic: str) -> ObsctlError | None:
    """Return why a topic cannot be read after an error in place of a record; None if the error may be temporary."""
    if error.code() in (*MISSING, *DENIED):
        return judged(error, topic)
    if clients.is_fatal(error):
        return NotAnsweredError(f"topic {topic} cannot be read: {error.str()}")
    return None


def judged(error: KafkaError, topic: str) -> ObsctlError:
    """Return a command's error for a broker's answer about a topic, or for a missing answer."""
    if error.code() in MISSING:
        return TopicMissingError(f"the cluster has no topic {topic}")
    if error.code() in DENIED:
        return NotAllowedError(f"the brokers do not let our user see, read or write topic {topic}")
    return NotAnsweredError(f"Kafka does not answer: {error.str()}")
