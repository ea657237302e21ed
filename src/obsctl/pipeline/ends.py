"""How far the topics reach, asked beside the reading: a paused or leaderless partition has a lag too."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Mapping
from typing import Any

import confluent_kafka
from confluent_kafka import IsolationLevel, KafkaException
from confluent_kafka.admin import AdminClient, OffsetSpec

from obsctl.pipeline.batch import TopicPartition
from obsctl.pipeline.config import Kafka
from obsctl.pipeline.telemetry import Telemetry

log = logging.getLogger(__name__)

_EVERY_SECONDS = 2.0
_TIMEOUT_SECONDS = 5.0


class Ends(threading.Thread):
    """Asks the brokers for the ends of the topics' partitions, again and again, and notes what does not answer.

    Troubles: ``kafka`` while no broker tells about the topics, a topic's name while it does not exist, and
    ``TOPIC/PARTITION end`` while the partition has no leader that answers.
    """

    def __init__(self, kafka: Kafka, telemetry: Telemetry) -> None:
        super().__init__(name="ends", daemon=True)
        self._topics = (kafka.topics.access, kafka.topics.error)
        self._telemetry = telemetry
        self._admin = AdminClient(
            {
                "bootstrap.servers": ",".join(kafka.bootstrap),
                "client.id": f"{kafka.group}-ends",
                "reconnect.backoff.max.ms": 3000,
                "allow.auto.create.topics": False,
                "log_level": 0,  # what matters of it becomes a trouble
            }
        )
        self._ends: dict[TopicPartition, int] = {}
        self._stopping = threading.Event()

    def run(self) -> None:
        """Ask until stopped."""
        while not self._stopping.is_set():
            try:
                self._look()
            except KafkaException as error:
                hint = "are the brokers up, and may this host reach their port?"
                if self._telemetry.trouble("kafka", error.args[0].str(), hint):
                    log.warning("waiting for Kafka", extra={"error": error.args[0].str()})
            self._stopping.wait(_EVERY_SECONDS)

    def stop(self) -> None:
        """End the thread soon."""
        self._stopping.set()

    def of(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Return the next offset to be written of those partitions whose end was ever told."""
        ends = self._ends
        return {part: ends[part] for part in partitions if part in ends}

    def _look(self) -> None:
        metadata = self._admin.list_topics(timeout=_TIMEOUT_SECONDS)
        if self._telemetry.clear("kafka"):
            log.info("the brokers answer again")
        asked = []
        for name in self._topics:
            topic = metadata.topics.get(name)
            missing = topic is None or topic.error is not None
            self._note(name, "the topic does not exist" if missing else "", "run the kafka role, which makes it")
            if topic is not None and not missing:
                asked += [confluent_kafka.TopicPartition(name, number) for number in topic.partitions]
        answers: dict[Any, Any] = (
            self._admin.list_offsets(
                {part: OffsetSpec.latest() for part in asked},
                isolation_level=IsolationLevel.READ_UNCOMMITTED,
                request_timeout=_TIMEOUT_SECONDS,
            )
            if asked
            else {}
        )
        ends = dict(self._ends)
        for part, answer in answers.items():
            fault = ""
            try:
                ends[TopicPartition(part.topic, part.partition)] = answer.result().offset
            except KafkaException as error:
                fault = error.args[0].str()
            self._note(f"{part.topic}/{part.partition} end", fault, "has the partition a leader? obsctl kafka status")
        self._ends = ends

    def _note(self, subject: str, fault: str, hint: str) -> None:
        if not fault:
            self._telemetry.clear(subject)
        elif self._telemetry.trouble(subject, fault, hint):
            log.warning("the brokers do not tell how far a topic reaches", extra={"subject": subject, "error": fault})
