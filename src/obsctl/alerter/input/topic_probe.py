"""Asks the cluster regularly, in parallel with the reading, for the topic's current id and end offsets."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from obsctl.alerter.config import KafkaConfig
from obsctl.core.journal import Seldom
from obsctl.kafka import clients, end_offsets, topics
from obsctl.kafka.any_broker import AnyBroker
from obsctl.kafka.partition import TopicPartition
from obsctl.kafka.topic_incarnation import TopicIncarnation
from obsctl.kafka.topic_log import DENIED

LOG = logging.getLogger(__name__)

#: Time between two requests, seconds.
_EVERY_S = 1.0
#: Time limit for an answer, seconds.
_TIMEOUT_S = 5.0
#: Kafka counts as unreachable when it has not answered for this long, seconds.
SILENT_S = 30.0
#: The same fault is logged once within this time, seconds.
_LOG_EVERY_S = 30.0


def not_answered(topic: str, refused: str = "") -> str:
    """Return what is wrong, and what to do, when the cluster has not answered about a topic for :data:`SILENT_S`.

    Args:
        refused: as :attr:`Probe.refused`.
    """
    if refused:
        return (
            f"topic {topic}: {refused}: ansible-playbook playbooks/kafka.yml -i inventories/prod gives Kafka's users "
            "their passwords and rights"
        )
    return f"Kafka does not answer for topic {topic}: obsctl kafka status"


def no_topic(topic: str) -> str:
    """Return what is wrong, and what to do, when there is no such topic."""
    return f"topic {topic} does not exist: ansible-playbook playbooks/kafka.yml -i inventories/prod creates it"


@dataclass(frozen=True)
class Answer:
    """What the cluster said at one moment.

    Attributes:
        log: which log the topic is; None when there is no such topic.
        asked_at: when the probe asked, seconds since the epoch; the answer says nothing about later times.
        ends: next offset to be written, by partition; one without a leader is missing.
        starts: offset at which to begin, by partition, for the partitions given to :meth:`Probe.want`.
    """

    log: TopicIncarnation | None
    asked_at: float
    ends: Mapping[int, int] = field(default_factory=dict)
    starts: Mapping[int, int] = field(default_factory=dict)


class Probe(threading.Thread):
    """Asks about a topic every second; :meth:`take` returns the answers.

    Attributes:
        refused: why the brokers refused the last request: the login, or access to the topic; empty if they did not.
    """

    refused: str = ""

    def __init__(self, config: KafkaConfig, topic: str) -> None:
        super().__init__(name=f"probe {topic}", daemon=True)
        self._brokers = AnyBroker(config.brokers, "obsctl-alerter")
        self._topic = topic
        self._answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._wanted: tuple[frozenset[int], float] = (frozenset(), 0.0)
        self._seldom = Seldom(_LOG_EVERY_S)

    def run(self) -> None:
        """Ask until stopped."""
        while not self._stopping.is_set():
            try:
                self._answers.put(self._brokers.ask(self._ask))
                self.refused = ""
            except KafkaException as error:
                self.refused = _refusal(error.args[0])
                self._complain(error.args[0].str())
            except Exception as error:
                # The thread must not end unnoticed. Without answers the alerter reports that it reads nothing.
                self._complain(repr(error))
                LOG.debug("asking the cluster failed", exc_info=True)
            self._stopping.wait(_EVERY_S)

    def want(self, partitions: Collection[int], since: float) -> None:
        """Have the next answers include, by partition, the offset of the first record written since a given time.

        Args:
            partitions: their numbers; empty to stop asking.
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
        """Ask the thread to end."""
        self._stopping.set()

    def _ask(self, client: AdminClient) -> Answer:
        asked_at = time.time()
        metadata = client.list_topics(self._topic, timeout=_TIMEOUT_S)
        topic = metadata.topics[self._topic]
        missing = topic.error is not None and topic.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART
        if topic.error is not None and not missing:
            raise KafkaException(topic.error)
        topic_ids = {} if missing else topics.ask_ids(client, {self._topic})
        if self._topic not in topic_ids:
            return Answer(None, asked_at)
        found = end_offsets.ask(client, [self._part(number) for number in topic.partitions], _TIMEOUT_S)
        for part, fault in found.faults.items():
            # One partition without a leader must not hide the others; only its own watermark does not advance.
            LOG.debug("a partition does not answer", extra={"partition": str(part), "error": fault})
        log = TopicIncarnation(metadata.cluster_id, self._topic, topic_ids[self._topic])
        ends = {part.partition: end for part, end in found.ends.items()}
        return Answer(log, asked_at, ends, self._starts(client, ends))

    def _starts(self, client: AdminClient, ends: Mapping[int, int]) -> dict[int, int]:
        wanted, since = self._wanted
        parts = [self._part(number) for number in wanted & ends.keys()]
        found = end_offsets.since(client, parts, since, _TIMEOUT_S)
        return {part.partition: start for part, start in found.ends.items()}

    def _part(self, number: int) -> TopicPartition:
        return TopicPartition(self._topic, number)

    def _complain(self, fault: str) -> None:
        if self._seldom.due():
            LOG.warning("Kafka does not answer", extra={"topic": self._topic, "error": fault})


def _refusal(error: KafkaError) -> str:
    if error.code() in DENIED:
        return "Kafka does not let this user read it (no ACL allows it)"
    return clients.words(error) if clients.is_shut_out(error) else ""
