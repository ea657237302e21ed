"""The thread that follows the silences' topic: a silence that a command writes takes effect within a second."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence

from confluent_kafka import KafkaException

from obsctl.alerter.notify.silences import Silences
from obsctl.alerter.silences.topic import Book
from obsctl.core.errors import ObsctlError
from obsctl.core.journal import Seldom
from obsctl.kafka import topics
from obsctl.kafka.any_broker import AnyBroker
from obsctl.kafka.topic_log import TopicLog, TopicMissingError

LOG = logging.getLogger(__name__)

#: How long to wait for records at a time, seconds.
_WAIT_S = 0.2
#: Time between two checks whether the topic was created again, seconds.
_ASK_EVERY_S = 5.0
#: Time between two attempts while Kafka does not answer or has no such topic, seconds.
_PAUSE_S = 1.0
#: The same fault is logged once within this time, seconds.
_LOG_EVERY_S = 300.0
_CLIENT = "obsctl-alerter"


class SilenceFollower(threading.Thread):
    """Reads the topic from its start, and continues with new records.

    While Kafka is unreachable and after the topic was deleted, the silences that were read last still count; each ends
    by itself. If the topic is created again, its silences replace them once it has been read to its end.

    Args:
        bootstrap: brokers as ``HOST:PORT``.
        topic: of the silences.

    Attributes:
        silences: all of them; the same object as long as none changed.
        trouble: why the topic is not read; empty while it is.
        trouble_since: since when (monotonic seconds).
    """

    def __init__(self, bootstrap: Sequence[str], topic: str) -> None:
        super().__init__(name="silences", daemon=True)
        self.silences: Silences = ()
        self.trouble = ""
        self.trouble_since = 0.0
        self._brokers = bootstrap
        self._topic = topic
        self._any_broker = AnyBroker(bootstrap, _CLIENT)
        #: Set once the silences are known, or it is known that their topic does not exist.
        self._known = threading.Event()
        self._stopping = threading.Event()
        self._seldom = Seldom(_LOG_EVERY_S)

    def wait(self, timeout_s: float) -> bool:
        """Wait until the silences are known; returns whether they are."""
        return self._known.wait(timeout_s)

    def stop(self) -> None:
        """Ask the thread to end."""
        self._stopping.set()

    def run(self) -> None:
        """Read until stopped. An unexpected error must not end the thread."""
        while not self._stopping.is_set():
            try:
                self._follow(self._ask())
            except TopicMissingError as error:
                self._known.set()
                self._fail(f"{error} (playbooks/kafka.yml creates it)")
            except (ObsctlError, KafkaException) as error:
                self._fail(error.args[0].str() if isinstance(error, KafkaException) else str(error))
            except Exception as error:
                LOG.exception("the silences cannot be read; the alerter retries soon")
                self._fail(f"internal error ({type(error).__name__})")
            self._stopping.wait(_PAUSE_S)

    def _ask(self) -> str:
        """Return the topic's id; empty if the brokers do not have one.

        Raises:
            TopicMissingError: there is no such topic.
            KafkaException: no broker answers.
        """
        found = self._any_broker.ask(lambda client: topics.ask_ids(client, {self._topic}))
        if self._topic not in found:
            raise TopicMissingError(f"the cluster has no topic {self._topic}")
        return found[self._topic]

    def _follow(self, topic_id: str) -> None:
        """Read the topic until it was created again, or until stopped."""
        log, book = TopicLog(self._brokers, self._topic, _CLIENT), Book()
        named: set[str] = set()
        whole = changed = False
        asked_at = time.monotonic()
        try:
            while not self._stopping.is_set():
                changed = book.take(log.poll(_WAIT_S)) or changed
                for place, why in book.unreadable.items():
                    if place not in named:
                        named.add(place)
                        self._say(f"the record {place} of topic {self._topic} is not a silence and is ignored: {why}")
                if log.at_end and (changed or not whole):
                    self._publish(book.silences())
                    whole, changed = True, False
                if time.monotonic() - asked_at > _ASK_EVERY_S:
                    try:
                        if self._ask() != topic_id:
                            return
                    except KafkaException as error:
                        self._fail(error.args[0].str())
                    else:
                        self._trouble("" if whole else f"topic {self._topic} could not be read to its end")
                    asked_at = time.monotonic()
        finally:
            log.close()

    def _publish(self, silences: Silences) -> None:
        if silences != self.silences:
            LOG.info("silences", extra={"silences": len(silences)})
            self.silences = silences
        self._trouble("")
        self._known.set()

    def _trouble(self, trouble: str) -> None:
        if not self.trouble:
            self.trouble_since = time.monotonic()
        self.trouble = trouble

    def _fail(self, trouble: str) -> None:
        self._trouble(trouble)
        self._say(f"the silences are not read: {trouble}")

    def _say(self, text: str) -> None:
        if self._seldom.due(text):
            LOG.warning(text)
