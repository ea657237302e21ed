"""How far the topics reach and which topics they are, asked beside the reading: a paused or leaderless partition has a
lag too, and a topic may be deleted and created again at any moment."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Mapping

from confluent_kafka import KafkaException

from obsctl.consumer.config import Kafka
from obsctl.consumer.telemetry import INTERNAL_ERROR_HINT, Telemetry
from obsctl.kafka import clients, end_offsets, topics
from obsctl.kafka.partition import TopicPartition

log = logging.getLogger(__name__)

_EVERY_S = 2.0
_BROKERS_HINT = "are the brokers up, and does a firewall let this host reach their port? obsctl kafka status"
_TOPIC_HINT = "ansible-playbook playbooks/kafka.yml -i inventories/prod creates the topics that the inventory names"


class Ends(threading.Thread):
    """Asks the brokers for the ends of the topics' partitions, again and again, and notes what does not answer.

    Troubles: ``kafka`` while no broker answers about the topics, a topic's name while it does not exist, and
    ``TOPIC/PARTITION end`` while the partition has no leader that answers.
    """

    def __init__(self, kafka: Kafka, telemetry: Telemetry) -> None:
        super().__init__(name="ends", daemon=True)
        self._topics = (kafka.topics.access, kafka.topics.error)
        self._telemetry = telemetry
        self._admin = clients.admin(kafka.bootstrap, f"{kafka.group}-ends")
        self._ends: dict[TopicPartition, int] = {}
        #: By name, as far as they were ever known.
        self.topic_ids: Mapping[str, str] = {}
        self._stopping = threading.Event()

    def run(self) -> None:
        """Ask until stopped."""
        while not self._stopping.is_set():
            try:
                self._look()
            except KafkaException as error:
                note_kafka_away(self._telemetry, error.args[0].str())
            except Exception as error:
                # Without the ends it could not be seen that a partition is behind, or that its topic is another one.
                self._telemetry.trouble("kafka", f"internal error: {error!r}", INTERNAL_ERROR_HINT)
                log.exception("asking the brokers for the topics' ends failed")
            self._stopping.wait(_EVERY_S)

    def stop(self) -> None:
        """End the thread soon."""
        self._stopping.set()

    def of(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Return the next offset to be written of those partitions whose end was ever known."""
        ends = self._ends
        return {part: ends[part] for part in partitions if part in ends}

    def identify(self, names: Collection[str]) -> topics.Cluster:
        """Ask which cluster this is and which topics these are; waits up to ten seconds for the answers.

        Raises:
            KafkaException: no broker answers.
        """
        cluster = topics.identify(self._admin, names)
        self.topic_ids = {**self.topic_ids, **cluster.topic_ids}
        return cluster

    def _look(self) -> None:
        metadata = self._admin.list_topics(timeout=topics.TIMEOUT_SECONDS)
        if self._telemetry.clear("kafka"):
            log.info("the brokers answer again")
        asked = []
        there = set()
        for name in self._topics:
            topic = metadata.topics.get(name)
            missing = topic is None or topic.error is not None
            self._note(name, "the topic does not exist" if missing else "", _TOPIC_HINT)
            if topic is not None and not missing:
                there.add(name)
                asked += [TopicPartition(name, number) for number in topic.partitions]
        if there:
            self.topic_ids = topics.ask_ids(self._admin, there)
        found = end_offsets.ask(self._admin, asked, topics.TIMEOUT_SECONDS)
        for part in asked:
            self._note(f"{part} end", found.faults.get(part, ""), "has the partition a leader? obsctl kafka partitions")
        self._ends = {**self._ends, **found.ends}

    def _note(self, subject: str, fault: str, hint: str) -> None:
        if not fault:
            self._telemetry.clear(subject)
        elif self._telemetry.trouble(subject, fault, hint):
            log.warning("the end of a topic is not known", extra={"subject": subject, "error": fault})


def note_kafka_away(telemetry: Telemetry, message: str) -> None:
    """Report that no broker answers."""
    if telemetry.trouble("kafka", message, _BROKERS_HINT):
        log.warning("waiting for Kafka", extra={"error": message})
