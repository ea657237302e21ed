"""Which alerter is the active one: the member of a consumer group that holds the one partition of the state's topic.

Kafka's group coordinator assigns the partition to one member at a time, and to another one when that member has sent
no heartbeat for the session timeout. Each host is a static member (KIP-345): an alerter that restarts within its
session timeout gets the partition back at once; if it stays away longer, the other host takes over.

The member's thread sends heartbeats only while the alerter's own work makes progress (:meth:`Membership.beat`): an
alerter that hangs loses the partition like one that died. :mod:`obsctl.alerter.state.changelog` makes sure that it can
no longer write.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException

from obsctl.alerter.config import KafkaConfig
from obsctl.alerter.input.topic_probe import SILENT_S, Probe, no_topic, not_answered
from obsctl.core.journal import Seldom
from obsctl.kafka import clients
from obsctl.kafka.topic_incarnation import TopicIncarnation

LOG = logging.getLogger(__name__)

#: A member that has sent no heartbeat for this long loses the partition, seconds.
_SESSION_S = 8.0
#: An alerter whose work has made no progress for this long counts as hung, seconds.
_HUNG_S = 12.0
_POLL_S = 0.25
_LOG_EVERY_S = 30.0


class Membership(threading.Thread):
    """Keeps this alerter in the group.

    Args:
        config: the brokers, the group, the topic, and this alerter's name in the group.
    """

    def __init__(self, config: KafkaConfig) -> None:
        super().__init__(name="membership", daemon=True)
        self._config = config
        self._topic = config.topics.state
        self._probe = Probe(config, self._topic)
        self._chosen = threading.Event()
        self._stopping = threading.Event()
        self._rejoining = threading.Event()
        self._beat_at = time.monotonic()
        self._joins_at = 0.0
        self._joined = False
        self._answered_at = time.monotonic()
        #: The topic as it is now; None when there is none.
        self._log: TopicIncarnation | None = None
        #: The topic when this member joined, not counting a return within its session.
        self._joined_to: TopicIncarnation | None = None
        self._seldom = Seldom(_LOG_EVERY_S)

    @property
    def chosen(self) -> bool:
        """Whether this alerter is to be the active one."""
        return self._chosen.is_set()

    @property
    def log(self) -> TopicIncarnation | None:
        """The state's topic as it is now; None when there is none, or none is known."""
        return self._log

    def wait(self, seconds: float) -> bool:
        """Wait up to a timeout to be chosen, and return whether this alerter is."""
        self.beat()
        return self._chosen.wait(seconds) and self._log is not None

    def beat(self) -> None:
        """Record that the alerter's work makes progress."""
        self._beat_at = time.monotonic()

    def rejoin(self) -> None:
        """Have the coordinator choose again: this alerter was chosen, but could not become the active one."""
        self._chosen.clear()
        self._rejoining.set()

    def trouble(self) -> str:
        """Return why no alerter can be chosen; empty when there is no reason."""
        if time.monotonic() - self._answered_at > SILENT_S:
            return not_answered(self._topic, self._probe.refused)
        if self._log is None:
            return no_topic(self._topic)
        return "" if self._joined else f"group {self._config.group} is being joined"

    def stop(self) -> None:
        """Leave the cluster; the partition stays this member's until its session is over."""
        self._stopping.set()
        self._probe.stop()

    def run(self) -> None:
        """Stay in the group until stopped."""
        self._probe.start()
        consumer: Consumer | None = None
        while not self._stopping.is_set():
            for answer in self._probe.take():
                self._answered_at, self._log = time.monotonic(), answer.log
            hangs = time.monotonic() - self._beat_at > _HUNG_S
            try:
                if consumer is None and not hangs and self._log is not None and time.monotonic() >= self._joins_at:
                    consumer = self._join()
                elif consumer is not None and (hangs or self._rejoining.is_set() or self._is_of_another_topic):
                    if hangs:
                        LOG.error("the alerter makes no progress: another one may take over")
                    if self._is_of_another_topic:
                        # A static member that returns within its session gets its partition back without a new
                        # assignment.
                        self._joins_at = time.monotonic() + _SESSION_S + _POLL_S
                        self._joined_to = None
                    self._leave(consumer)
                    consumer = None
                elif consumer is not None:
                    self._take(consumer.poll(_POLL_S))
                else:
                    self._stopping.wait(_POLL_S)
            except KafkaException as error:
                self._complain(error.args[0])
                self._stopping.wait(_POLL_S)
        if consumer is not None:
            self._leave(consumer)

    @property
    def _is_of_another_topic(self) -> bool:
        """Whether this member is not chosen, and the topic was created again since it joined for the first time.

        It may have been assigned nothing because it knew no partition of the topic, and that would never change.
        """
        return not self._chosen.is_set() and None not in (self._log, self._joined_to) and self._log != self._joined_to

    def _join(self) -> Consumer:
        self._rejoining.clear()
        self._joined_to = self._joined_to or self._log
        consumer = Consumer(
            clients.settings(self._config.brokers, "obsctl-alerter")
            | {
                "group.id": f"{self._config.group}-active",
                "group.instance.id": self._config.member,
                "session.timeout.ms": int(_SESSION_S * 1000),
                "heartbeat.interval.ms": int(_SESSION_S * 250),
                "max.poll.interval.ms": 30_000,
                # The active member keeps the partition when another member joins or returns.
                "partition.assignment.strategy": "cooperative-sticky",
                "enable.auto.commit": False,
                "allow.auto.create.topics": False,
                "log_level": 0,
            }
        )
        consumer.subscribe([self._topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked)
        return consumer

    def _leave(self, consumer: Consumer) -> None:
        self._chosen.clear()
        self._joined = False
        # In a separate thread: closing waits for answers, and hung brokers may not give them for a while.
        closing = threading.Thread(target=consumer.close, name="close", daemon=True)
        closing.start()
        closing.join(_SESSION_S)

    def _assigned(self, consumer: Consumer, partitions: list[Any]) -> None:
        # Nothing is read here: holding the partition is all that matters.
        consumer.incremental_assign(partitions)
        consumer.pause(partitions)
        self._joined = True
        if partitions:
            self._chosen.set()

    def _revoked(self, consumer: Consumer, partitions: list[Any]) -> None:
        self._chosen.clear()
        consumer.incremental_unassign(partitions)

    def _take(self, message: Any) -> None:
        if message is not None and message.error() is not None:
            self._complain(message.error())

    def _complain(self, error: KafkaError) -> None:
        if clients.is_fatal(error):
            # This client cannot be used any more, for example because the group fenced it while a broker hung: a new
            # client has to join. It waits first, so that two hosts with the same name do not fence each other many
            # times a second.
            self._joins_at = time.monotonic() + _SESSION_S
            self.rejoin()
        if self._seldom.due():
            LOG.warning("the group of alerters does not answer", extra={"topic": self._topic, "error": error.str()})
