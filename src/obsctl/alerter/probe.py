"""Asks the cluster, again and again and beside the reading, which log the topic is now and how far it reaches."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from confluent_kafka import KafkaError, KafkaException

from obsctl.alerter.config import KafkaConfig
from obsctl.alerter.log import Log
from obsctl.core.journal import Seldom
from obsctl.kafka import clients, end_offsets, topics
from obsctl.kafka.partition import TopicPartition

LOG = logging.getLogger(__name__)

#: Seconds between two questions.
_EVERY_S = 1.0
#: How long a broker may take to answer one, seconds.
_TIMEOUT_S = 5.0
#: Kafka counts as gone when it has not answered for this long, seconds.
SILENT_S = 30.0
#: The same fault is logged once within this time, seconds.
_LOG_EVERY_S = 30.0


def not_answered(topic: str) -> str:
    """Return what is wrong, and what to do, when the cluster has not answered about a topic for :data:`SILENT_S`."""
    return f"Kafka does not answer for topic {topic}: obsctl kafka status"


def no_topic(topic: str) -> str:
    """Return what is wrong, and what to do, when there is no such topic."""
    return f"topic {topic} does not exist: ansible-playbook playbooks/kafka.yml -i inventories/prod creates it"


@dataclass(frozen=True)
class Answer:
    """What the cluster said at one moment.

    Attributes:
        log: which log the topic is; None when there is no such topic.
        asked_at: when it was asked, seconds since the epoch; nothing later is known.
        ends: next offset to be written, by partition; one without a leader is missing.
        starts: where reading can begin, by partition, as far as :meth:`Probe.want` asked for it.
    """

    log: Log | None
    asked_at: float
    ends: Mapping[int, int] = field(default_factory=dict)
    starts: Mapping[int, int] = field(default_factory=dict)


class Probe(threading.Thread):
    """Asks about a topic every second; answers come by :meth:`take`."""

    def __init__(self, config: KafkaConfig, topic: str) -> None:
        super().__init__(name=f"probe {topic}", daemon=True)
        self._admin = clients.admin(config.bootstrap, "obsctl-alerter")
        self._topic = topic
        self._answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._wanted: tuple[frozenset[int], float] = (frozenset(), 0.0)
        self._seldom = Seldom(_LOG_EVERY_S)

    def run(self) -> None:
        """Ask until stopped."""
        while not self._stopping.is_set():
            try:
                self._answers.put(self._ask())
            except KafkaException as error:
                self._complain(error.args[0].str())
            except Exception as error:
                # Without answers the alerter reports that it is blind; it must not end in silence.
                self._complain(repr(error))
                LOG.debug("asking the cluster failed", exc_info=True)
            self._stopping.wait(_EVERY_S)

    def want(self, partitions: Collection[int], since: float) -> None:
        """Have the next answers say where the first record of each partition lies that was written since a moment.

        Args:
            partitions: numbers; none ends the asking.
            since: seconds since the epoch.
        """
        self._wanted = (frozenset(partitions), since)

    def take(self) -> list[Answer]:
        """Return the answers since the last call, oldest first."""
        found = []
        while not self._answers.empty():
            found.append(self._answers.get_nowait())
        return found

    def stop(self) -> None:
        """End the thread soon."""
        self._stopping.set()

    def _ask(self) -> Answer:
        asked_at = time.time()
        metadata = self._admin.list_topics(self._topic, timeout=_TIMEOUT_S)
        topic = metadata.topics[self._topic]
        missing = topic.error is not None and topic.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART
        if topic.error is not None and not missing:
            raise KafkaException(topic.error)
        topic_ids = {} if missing else topics.ask_ids(self._admin, {self._topic})
        if self._topic not in topic_ids:
            return Answer(None, asked_at)
        found = end_offsets.ask(self._admin, [self._part(number) for number in topic.partitions], _TIMEOUT_S)
        for part, fault in found.faults.items():
            # One partition without a leader must not hide the others; its clock just does not advance.
            LOG.debug("a partition does not answer", extra={"partition": str(part), "error": fault})
        log = Log(metadata.cluster_id, self._topic, topic_ids[self._topic])
        ends = {part.partition: end for part, end in found.ends.items()}
        return Answer(log, asked_at, ends, self._starts(ends))

    def _starts(self, ends: Mapping[int, int]) -> dict[int, int]:
        wanted, since = self._wanted
        parts = [self._part(number) for number in wanted & ends.keys()]
        found = end_offsets.since(self._admin, parts, since, _TIMEOUT_S)
        return {part.partition: start for part, start in found.ends.items()}

    def _part(self, number: int) -> TopicPartition:
        return TopicPartition(self._topic, number)

    def _complain(self, fault: str) -> None:
        if self._seldom.due():
            LOG.warning("Kafka does not answer", extra={"topic": self._topic, "error": fault})
