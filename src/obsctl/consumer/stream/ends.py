"""The topics' end offsets and ids, queried in parallel with the reading: a paused or leaderless partition has a
lag too, and a topic may be deleted and created again at any moment."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection, Mapping

from confluent_kafka import KafkaError, KafkaException

from obsctl.consumer.config import Kafka
from obsctl.consumer.telemetry import INTERNAL_ERROR_HINT, Telemetry
from obsctl.kafka import clients, end_offsets, topics
from obsctl.kafka.any_broker import AnyBroker
from obsctl.kafka.partition import TopicPartition
from obsctl.kafka.topic_log import DENIED

log = logging.getLogger(__name__)

_EVERY_S = 2.0
#: After nine seconds of silence the controller fences a broker, and another one becomes the leader.
_ELECTION_S = 20.0
_BROKERS_HINT = "check that the brokers are up and that this host can reach their port: obsctl kafka status"
_LOGIN_HINT = (
    "ansible-playbook playbooks/kafka.yml -i inventories/prod gives Kafka's users their passwords, ansible-playbook"
    " playbooks/consumer.yml -i inventories/prod gives this host its own and the CA; obsctl certs status shows the"
    " brokers' certificates"
)
RIGHTS_HINT = "ansible-playbook playbooks/kafka.yml -i inventories/prod gives Kafka's users their rights"
_TOPIC_HINT = "ansible-playbook playbooks/kafka.yml -i inventories/prod creates the inventory's topics"


class Ends(threading.Thread):
    """Asks the brokers regularly for the end offsets of the topics' partitions, and records what does not answer.

    Troubles: ``kafka`` while no broker answers about the topics, a topic's name while it does not exist, and
    ``TOPIC/PARTITION end`` when the partition has had no leader that answers for longer than an election takes.
    """

    def __init__(self, kafka: Kafka, telemetry: Telemetry) -> None:
        super().__init__(name="ends", daemon=True)
        self._topics = (kafka.topics.access, kafka.topics.error)
        self._telemetry = telemetry
        self._brokers = AnyBroker(kafka.brokers, f"{kafka.group}-ends")
        self._ends: dict[TopicPartition, int] = {}
        #: Partitions without an answer to the last query, with the time since when their end is unknown (monotonic
        #: seconds).
        self._unknown_since: dict[TopicPartition, float] = {}
        #: Ids of the topics by name, as far as they were ever known.
        self.topic_ids: Mapping[str, str] = {}
        #: The partitions of the topics at the last query.
        self.existing: Collection[TopicPartition] = ()
        self._stopping = threading.Event()

    def run(self) -> None:
        """Ask until stopped."""
        while not self._stopping.is_set():
            try:
                self._look()
            except KafkaException as error:
                note_kafka_away(self._telemetry, error.args[0])
            except Exception as error:
                # Without the ends, nobody could see that a partition lags, or that its topic was created again.
                self._telemetry.trouble("kafka", f"internal error: {error!r}", INTERNAL_ERROR_HINT)
                log.exception("asking the brokers for the topics' ends failed")
            self._stopping.wait(_EVERY_S)

    def stop(self) -> None:
        """Ask the thread to end."""
        self._stopping.set()

    def of(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Return the next offset to be written, for the partitions whose end was ever known."""
        ends = self._ends
        return {part: ends[part] for part in partitions if part in ends}

    def identify(self, names: Collection[str]) -> topics.Cluster:
        """Ask for the ids of the cluster and of the topics; waits up to ten seconds for the answers.

        Raises:
            KafkaException: no broker answers.
        """
        cluster = self._brokers.ask(lambda client: topics.identify(client, names))
        self.topic_ids = {**self.topic_ids, **cluster.topic_ids}
        return cluster

    def _look(self) -> None:
        metadata = self._brokers.ask(lambda client: client.list_topics(timeout=topics.TIMEOUT_SECONDS))
        if self._telemetry.clear("kafka"):
            log.info("the brokers answer again")
        there = topics.partitions_of(metadata, self._topics)
        for name in self._topics:
            self._note(name, *(("", "") if name in there else self._hidden(name)))
        if there:
            self.topic_ids = self._brokers.ask(lambda client: topics.ask_ids(client, there.keys()))
        asked = {TopicPartition(name, number) for name, numbers in there.items() for number in numbers}
        self.existing = asked
        found = self._brokers.ask(lambda client: end_offsets.ask(client, asked, topics.TIMEOUT_SECONDS))
        self._note_unknown(asked, found.faults)
        self._ends = {**self._ends, **found.ends}

    def _hidden(self, name: str) -> tuple[str, str]:
        """Return why a topic is not listed, and what to do: a broker leaves out topics that we may not see."""
        found = self._brokers.ask(lambda client: client.list_topics(name, timeout=topics.TIMEOUT_SECONDS))
        error = found.topics[name].error
        if error is not None and error.code() in DENIED:
            return "Kafka does not let this user read the topic (no ACL allows it)", RIGHTS_HINT
        return "the topic does not exist", _TOPIC_HINT

    def _note_unknown(self, asked: Collection[TopicPartition], faults: Mapping[TopicPartition, str]) -> None:
        """Record partitions whose end stays unknown; during a change of the leader it is unknown for a moment."""
        now = time.monotonic()
        for part in self._unknown_since.keys() - set(asked):
            self._telemetry.clear(f"{part} end")  # its topic was deleted, or created again with fewer partitions
        self._unknown_since = {part: self._unknown_since.get(part, now) for part in faults}
        for part in asked:
            since = self._unknown_since.get(part)
            fault = faults[part] if since is not None and now - since >= _ELECTION_S else ""
            self._note(f"{part} end", fault, "check that the partition has a leader: obsctl kafka partitions")

    def _note(self, subject: str, fault: str, hint: str) -> None:
        if not fault:
            self._telemetry.clear(subject)
        elif self._telemetry.trouble(subject, fault, hint):
            log.warning("the end of a topic is unknown", extra={"subject": subject, "error": fault})


def note_kafka_away(telemetry: Telemetry, error: KafkaError) -> None:
    """Report that no broker answers, or that the brokers refuse our connection."""
    message = clients.words(error)
    if telemetry.trouble("kafka", message, _LOGIN_HINT if clients.is_shut_out(error) else _BROKERS_HINT):
        log.warning("waiting for Kafka", extra={"error": message})
