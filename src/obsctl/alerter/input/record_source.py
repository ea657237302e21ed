"""The records of one log.

All partitions are assigned by hand: the windows are in this process, so a second member of a group would not share the
work but take away half of the lines. It also means that a killed alerter resumes at once when it restarts, without
waiting for a session to time out. Positions come from the state file; the offsets committed under the group's name
only let other tools show the lag.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

import confluent_kafka
from confluent_kafka import Consumer, KafkaError, KafkaException

from obsctl.alerter.config import KafkaConfig
from obsctl.alerter.input.topic_probe import Answer
from obsctl.core.journal import Seldom
from obsctl.kafka import clients
from obsctl.kafka.topic_incarnation import TopicIncarnation

LOG = logging.getLogger(__name__)

#: How many answers are kept whose end offsets have not been reached yet; without an older one the clock only lags.
_OPEN_ANSWERS = 60
#: A partition that has records is stuck if its position has not changed for this long, seconds.
STUCK_S = 30.0
#: The same fault is logged once within this time, seconds.
_LOG_EVERY_S = 30.0


class Record(NamedTuple):
    """One record of the topic."""

    partition: int
    offset: int
    value: bytes


class Source:
    """Reads the partitions of one log.

    Each log is read with its own client: when a topic is created again under the same name, librdkafka keeps using
    what it knew of the old one.

    Args:
        config: the brokers.
        log: which log is read.
        positions: next offset to read, by partition.

    Attributes:
        positions: next offset to read, by partition.
        ends: next offset to be written, by partition, as of the last answer of the probe.
        lost: partitions that are not read, because no position is known: new ones, and those whose position the log
            does not have (any more).
    """

    def __init__(self, config: KafkaConfig, log: TopicIncarnation, positions: Mapping[int, int]) -> None:
        self.log = log
        self.positions = dict(positions)
        self.ends: dict[int, int] = {}
        self.lost: set[int] = set()
        self._open: dict[int, deque[tuple[float, int]]] = {}
        #: The positions when the last answer arrived, by partition, and when that was (seconds since the epoch).
        self._noted: dict[int, tuple[int, float]] = {}
        #: Since when the position of a partition with records has not changed (monotonic seconds).
        self._still_since: dict[int, float] = {}
        self._seldom = Seldom(_LOG_EVERY_S)
        self._config = config
        self._consumer = self._client()
        self._assign()

    def read(self, most: int, timeout_s: float) -> list[Record]:
        """Return up to ``most`` records, or those that arrived before the timeout, and advance the positions."""
        records = []
        for message in self._consumer.consume(most, timeout_s):
            error = message.error()
            partition, offset = message.partition(), message.offset()
            if error is not None:
                self._take_error(error, partition)
            elif partition not in self.lost:
                self.positions[partition] = offset + 1
                records.append(Record(partition, offset, message.value() or b""))
        return records

    def learn(self, answer: Answer) -> None:
        """Process the probe's answer about this log."""
        for partition, end in answer.ends.items():
            self.ends[partition] = end
            self._open.setdefault(partition, deque(maxlen=_OPEN_ANSWERS)).append((answer.asked_at, end))
            if partition not in self.positions:
                self._lose(partition, "it is new")
                continue
            position = self.positions[partition]
            before, noted_at = self._noted.get(partition, (-1, float("inf")))
            if before > end and answer.asked_at > noted_at:
                # The end is below an offset that was read before the probe asked: those records are lost.
                self._lose(partition, f"the log ends at {end}, before the position {before}")
            if end > position == before:
                self._still_since.setdefault(partition, time.monotonic())
            else:
                self._still_since.pop(partition, None)
            self._noted[partition] = (position, time.time())

    def find(self, starts: Mapping[int, int]) -> None:
        """Start reading lost partitions at these offsets."""
        found = {partition: start for partition, start in starts.items() if partition in self.lost}
        if not found:
            return
        LOG.warning("partitions are read from a new position", extra={"topic": self.log.topic, "positions": found})
        self.positions |= found
        self.lost = self.lost - found.keys()
        for partition in found:
            self._noted.pop(partition, None)
        self._assign()

    def reached(self) -> dict[int, float]:
        """Return, by partition, the latest time for which everything that the partition held then has been read."""
        moments = {}
        for partition, answers in self._open.items():
            while partition not in self.lost and answers and self.positions.get(partition, -1) >= answers[0][1]:
                moments[partition] = answers.popleft()[0]
        return moments

    @property
    def lag(self) -> int:
        """Records not read yet, as of the last answer of the probe."""
        return sum(max(0, end - self.positions.get(partition, end)) for partition, end in self.ends.copy().items())

    def stuck(self) -> list[int]:
        """Return the partitions that have records and have not moved for 30 seconds."""
        now = time.monotonic()
        return sorted(partition for partition, since in self._still_since.copy().items() if now - since > STUCK_S)

    def commit(self) -> None:
        """Commit the positions, so that other tools can show the lag; nothing depends on it."""
        offsets = [
            confluent_kafka.TopicPartition(self.log.topic, partition, offset)
            for partition, offset in self.positions.items()
        ]
        try:
            self._consumer.commit(offsets=offsets, asynchronous=True)
        except KafkaException as error:
            self._complain(error.args[0].str())

    def reopen(self) -> None:
        """Continue with a new client, which does not have the old one's possibly wrong view of the cluster."""
        LOG.warning(
            "records are in Kafka but are not fetched; the client is replaced",
            extra={"topic": self.log.topic, "partitions": self.stuck()},
        )
        self.abandon()
        self._consumer = self._client()
        self._assign()

    def close(self) -> None:
        """Leave the cluster."""
        self._consumer.close()

    def abandon(self) -> None:
        """Close in a separate thread: closing waits for answers, and hung brokers may not give them for a while."""
        threading.Thread(target=self._consumer.close, name="close", daemon=True).start()

    def _client(self) -> Consumer:
        return Consumer(
            clients.settings(self._config.brokers, "obsctl-alerter")
            | clients.READ_ON
            | {
                "group.id": self._config.group,
                "enable.auto.commit": False,
                # An out-of-range position is reported, see `lost`; starting at the log's first record instead would
                # mean reading a week of lines that no longer count before any new one.
                "auto.offset.reset": "error",
                "allow.auto.create.topics": False,
                "fetch.wait.max.ms": 100,
                "queued.max.messages.kbytes": 16384,
                # The library logs every attempt to connect; this logs the important faults, at a limited rate.
                "log_level": 0,
            }
        )

    def _assign(self) -> None:
        self._consumer.assign(
            [
                confluent_kafka.TopicPartition(self.log.topic, partition, offset)
                for partition, offset in self.positions.items()
                if partition not in self.lost
            ]
        )

    def _take_error(self, error: KafkaError, partition: int | None) -> None:
        if error.code() == KafkaError._AUTO_OFFSET_RESET and partition is not None:
            self._lose(partition, error.str())
        else:
            self._complain(error.str())

    def _lose(self, partition: int, why: str) -> None:
        if partition not in self.lost:
            self.lost = self.lost | {partition}  # a new set: other threads read it
            LOG.warning(
                "the start position of a partition is unknown",
                extra={"topic": self.log.topic, "partition": partition, "reason": why},
            )

    def _complain(self, text: str) -> None:
        if self._seldom.due(text):
            LOG.warning("reading from Kafka failed", extra={"topic": self.log.topic, "error": text})
