"""Reads the history from its topic: what was recorded since a given time, and new records as they come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from obsctl.alerter.history.records import AnyRecord, decode
from obsctl.core.decoding import UndecodableError
from obsctl.kafka import topic_log
from obsctl.kafka.topic_log import Record, TopicLog

#: The topic's retention by the role's default (seconds).
KEPT_S = 30 * 86400.0
_CLIENT = "obsctl"
#: How long one poll waits for records, and thus how soon Ctrl-C is noticed (seconds).
_WAIT_S = 0.5


class Past:
    """The records since a given time: can be iterated over once, while reading, because there may be millions.

    Args:
        bootstrap: brokers as ``HOST:PORT``.
        topic: of the history.
        since: seconds since the epoch.

    Raises:
        TopicMissingError: there is no such topic.
        NotAnsweredError: the brokers do not answer.
    """

    def __init__(self, bootstrap: Sequence[str], topic: str, since: float) -> None:
        self._since = since
        # A record is written to Kafka after its event, so no wanted record is older than this in Kafka.
        self._stored = topic_log.read(bootstrap, topic, _CLIENT, since=since)
        self._readable = Readable()

    @property
    def unreadable(self) -> int:
        """How many records so far had another version or were not records at all."""
        return self._readable.unreadable

    def __iter__(self) -> Iterator[AnyRecord]:
        for record in self._readable.take(self._stored):
            if record.at >= self._since:
                yield record


def follow(bootstrap: Sequence[str], topic: str, since: float) -> Iterator[AnyRecord]:
    """Yield the records from a given time on, as they are written, until the caller stops.

    Args:
        bootstrap: brokers as ``HOST:PORT``.
        topic: of the history.
        since: seconds since the epoch.

    Raises:
        TopicMissingError: there is no such topic, or it was deleted.
        NotAnsweredError: no broker answers at the start.
    """
    log, readable = TopicLog(bootstrap, topic, _CLIENT, since=since), Readable()
    try:
        while True:
            for record in readable.take(log.poll(_WAIT_S)):
                if record.at >= since:
                    yield record
    finally:
        log.close()


class Readable:
    """Reads records as they are stored.

    Attributes:
        unreadable: how many had another version or were not records at all.
    """

    def __init__(self) -> None:
        self.unreadable = 0

    def take(self, records: Iterable[Record]) -> Iterator[AnyRecord]:
        """Yield the readable records."""
        for stored in records:
            try:
                yield decode(stored.value or b"")
            except UndecodableError:
                self.unreadable += 1
