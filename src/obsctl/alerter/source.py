"""Lines from Kafka, and how far the topic reaches.

All partitions are assigned by hand: the windows live in this process, so a second member of a group would not
share the work but hide half of the lines. It also means that a killed alerter reads on at once when it returns,
without waiting for a session to time out. Positions come from the state file; what is committed under the group's
name only shows the lag to others.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from obsctl.alerter.config import KafkaConfig

LOG = logging.getLogger(__name__)

#: Seconds between two questions for the ends of the partitions.
_PROBE_EVERY_S = 1.0
#: How long a broker may take to answer one, seconds.
_PROBE_TIMEOUT_S = 5.0
#: Questions whose ends have not been reached yet; older ones only delay the clock.
_OPEN_PROBES = 60
#: The same fault is logged once within this time, seconds.
_LOG_EVERY_S = 30.0


class Record(NamedTuple):
    """One record of the topic."""

    partition: int
    offset: int
    value: bytes


@dataclass(frozen=True)
class Topic:
    """What the cluster says about the topic.

    Attributes:
        cluster: the cluster's id.
        ends: next offset to be written, by partition.
        asked_at: when it was asked, seconds since the epoch; nothing later is known.
    """

    cluster: str
    ends: dict[int, int]
    asked_at: float


def _client(config: KafkaConfig, **more: Any) -> dict[str, Any]:
    return {
        "bootstrap.servers": ",".join(config.bootstrap),
        "client.id": "obsctl-alerter",
        "socket.keepalive.enable": True,
        "reconnect.backoff.max.ms": 2000,
        "topic.metadata.refresh.interval.ms": 30000,
        "allow.auto.create.topics": False,
        # The library writes a line for each attempt to connect; what matters of it is said here, now and then.
        "log_level": 0,
        **more,
    }


class Probe(threading.Thread):
    """Asks for partitions and their ends again and again, beside the reading; answers come by :meth:`take`."""

    def __init__(self, config: KafkaConfig) -> None:
        super().__init__(name="probe", daemon=True)
        self._admin = AdminClient(_client(config))
        self._topic = config.topics.access
        self._answers: queue.SimpleQueue[Topic] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._logged_at = 0.0

    def run(self) -> None:
        """Ask until stopped."""
        while not self._stopping.is_set():
            try:
                self._answers.put(self._ask())
            except KafkaException as error:
                if time.monotonic() - self._logged_at > _LOG_EVERY_S:
                    self._logged_at = time.monotonic()
                    LOG.warning("Kafka does not answer for topic %s: %s", self._topic, error.args[0].str())
            self._stopping.wait(_PROBE_EVERY_S)

    def take(self) -> list[Topic]:
        """Return the answers since the last call, oldest first."""
        found = []
        while not self._answers.empty():
            found.append(self._answers.get_nowait())
        return found

    def stop(self) -> None:
        """End the thread soon."""
        self._stopping.set()

    def _ask(self) -> Topic:
        asked_at = time.time()
        metadata = self._admin.list_topics(self._topic, timeout=_PROBE_TIMEOUT_S)
        topic = metadata.topics[self._topic]
        if topic.error is not None:
            raise KafkaException(topic.error)
        wanted = {TopicPartition(self._topic, number): OffsetSpec.latest() for number in topic.partitions}
        answers = self._admin.list_offsets(
            wanted, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=_PROBE_TIMEOUT_S
        )
        ends = {}
        for partition, answer in answers.items():
            try:
                ends[partition.partition] = answer.result().offset
            except KafkaException as error:
                # One partition without a leader must not hide the others; its clock just stands still.
                LOG.debug("partition %d: %s", partition.partition, error.args[0].str())
        return Topic(metadata.cluster_id, ends, asked_at)


class Source:
    """Reads all partitions of the topic from given positions."""

    def __init__(self, config: KafkaConfig) -> None:
        self._topic = config.topics.access
        self._consumer = Consumer(
            _client(
                config,
                **{
                    "group.id": config.group,
                    "enable.auto.commit": False,
                    # Positions older than the log's start: read all that is left.
                    "auto.offset.reset": "earliest",
                    "fetch.wait.max.ms": 100,
                    "queued.max.messages.kbytes": 16384,
                },
            )
        )
        self.positions: dict[int, int] = {}
        self.ends: dict[int, int] = {}
        self._open: dict[int, deque[tuple[float, int]]] = {}
        self._logged: dict[str, float] = {}

    def start(self, positions: Mapping[int, int]) -> None:
        """Read the partitions from these offsets on."""
        self.positions = dict(positions)
        self._assign()

    def add(self, partitions: set[int]) -> None:
        """Read partitions that the topic got since, from their beginning."""
        self.positions |= dict.fromkeys(partitions, 0)
        LOG.info("topic %s has new partitions: %s", self._topic, sorted(partitions))
        self._assign()

    def read(self, most: int, timeout_s: float) -> list[Record]:
        """Return up to ``most`` records, what there is after the time-out, and move the positions."""
        records = []
        for message in self._consumer.consume(most, timeout_s):
            error = message.error()
            if error is not None:
                self._complain(error.str())
                continue
            partition, offset = message.partition(), message.offset()
            self.positions[partition] = offset + 1
            records.append(Record(partition, offset, message.value() or b""))
        return records

    def learn(self, topic: Topic) -> None:
        """Take an answer of the probe."""
        for partition, end in topic.ends.items():
            self.ends[partition] = end
            self._open.setdefault(partition, deque(maxlen=_OPEN_PROBES)).append((topic.asked_at, end))

    def reached(self) -> dict[int, float]:
        """Return by partition the latest moment whose whole content has been read by now."""
        moments = {}
        for partition, probes in self._open.items():
            while probes and self.positions.get(partition, -1) >= probes[0][1]:
                moments[partition] = probes.popleft()[0]
        return moments

    @property
    def lag(self) -> int:
        """Records not read yet, as of the last answer of the probe."""
        return sum(max(0, end - self.positions.get(partition, end)) for partition, end in self.ends.items())

    def commit(self, positions: Mapping[int, int]) -> None:
        """Show the positions to others; nothing depends on it."""
        try:
            self._consumer.commit(
                offsets=[TopicPartition(self._topic, p, offset) for p, offset in positions.items()], asynchronous=True
            )
        except KafkaException as error:
            self._complain(error.args[0].str())

    def close(self) -> None:
        """Leave the cluster."""
        self._consumer.close()

    def _assign(self) -> None:
        self._consumer.assign(
            [TopicPartition(self._topic, p, offset or OFFSET_BEGINNING) for p, offset in self.positions.items()]
        )

    def _complain(self, text: str) -> None:
        if time.monotonic() - self._logged.get(text, float("-inf")) > _LOG_EVERY_S:
            self._logged[text] = time.monotonic()
            LOG.warning("Kafka: %s", text)
