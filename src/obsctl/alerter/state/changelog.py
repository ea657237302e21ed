"""The state in Kafka: each row of the state file is a record of one compacted topic, written in Kafka's transactions.

What a transaction of the file changes, the active alerter writes to the topic first and to the file afterwards. So the
topic is the source of truth and the file is a copy: an alerter that becomes active fills its file from the topic. All
alerters use the same transactional id. One that starts to use it fences the previous one (KIP-98): Kafka aborts that
one's open transaction and refuses its next one, so it can neither store nor send what it decided.

A record's key is a JSON array: table, primary key, number of the part; its value is that part of the row in
MessagePack. The record ``["complete"]`` says that an alerter has written all rows; a topic without it is new or was
created again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
from confluent_kafka import KafkaError, KafkaException, Producer

from obsctl.alerter.config import KafkaConfig
from obsctl.alerter.history.records import Lost, encode
from obsctl.alerter.state.rows import Row
from obsctl.core.errors import ConfigError
from obsctl.kafka import clients, topic_log
from obsctl.kafka.topic_log import NotAnsweredError, Record, TopicLog, TopicMissingError

LOG = logging.getLogger(__name__)

#: Version of the tables, in the state file and in the topic.
VERSION = 4
#: The record that says that all rows were written; its value is the version of the tables.
_COMPLETE = b'["complete"]'
#: Longest part, bytes: a record may have 1,000,000 bytes (message.max.bytes).
_PART_BYTES = 700_000
#: Time limit for an answer, after which the request is repeated, seconds.
_ANSWER_S = 5.0
_PAUSE_S = 0.5
#: How long the library waits for more records if a batch is not full, seconds.
_READ_S = 0.05


#: How long nothing is written to the history after its topic was found missing, seconds.
_HISTORY_PAUSE_S = 60.0


class LeadershipLostError(Exception):
    """Another alerter is the active one now, or the topic was created again."""


@dataclass
class HistoryTopic:
    """State of writing the history; a fault of the history must not stop the alerter.

    Attributes:
        name: of the topic.
        lost: how many records were not written since this alerter became the active one.
        trouble: why records are not written; empty while they are.
        trouble_since: since when, monotonic seconds.
    """

    name: str
    lost: int = 0
    trouble: str = ""
    trouble_since: float = 0.0
    #: The topic is not looked up again before this time, monotonic seconds.
    not_before: float = 0.0
    #: Whether the topic existed at the last look-up.
    found: bool = False
    #: Lost records that the history does not mention yet.
    unnamed: int = 0

    def fail(self, records: int) -> None:
        """Count records that cannot be written."""
        now = time.monotonic()
        if not self.trouble:
            self.trouble_since = now
            LOG.error("the history of alerts has no topic", extra={"topic": self.name})
        self.trouble = f"the cluster has no topic {self.name} (playbooks/kafka.yml creates it)"
        self.lost += records
        self.unnamed += records


class Changelog:
    """Writes rows, and history records about them to the history's topic, while this alerter is the active one.

    Args:
        config: the brokers, the topic, and the group, whose name is the transactional id.
        beat: called while waiting for an answer, so that the wait does not count as a hang; may raise an error to give
            up.
    """

    def __init__(self, config: KafkaConfig, beat: Callable[[], None]) -> None:
        self._topic = config.topics.state
        self.history = HistoryTopic(config.topics.history)
        self._bootstrap = config.brokers
        self._beat = beat
        self._lock = threading.RLock()
        #: Since when it has been waiting for an answer, monotonic seconds; 0 if it is not waiting.
        self.waiting_since = 0.0
        self._producer = Producer(
            clients.settings(config.brokers, "obsctl-alerter")
            | {
                "transactional.id": config.group,
                "transaction.timeout.ms": 30_000,
                "compression.type": "lz4",
                "linger.ms": 0,
                # A missing topic of the history must not delay writing the state for half a minute.
                "topic.metadata.propagation.max.ms": 3000,
                "log_level": 0,
            }
        )

    def fence(self) -> None:
        """Become the only writer: from now on Kafka refuses the transactions of earlier writers.

        Raises:
            LeadershipLostError: this cannot be done.
        """
        try:
            with self._waiting():
                self._until_answered(self._producer.init_transactions, _ANSWER_S)
        except KafkaException as error:
            raise LeadershipLostError(error.args[0].str()) from None

    def read(self) -> list[Row] | None:
        """Return the rows that the topic holds; None if no alerter ever wrote all rows.

        Raises:
            ConfigError: another release wrote them.
            LeadershipLostError: the topic cannot be read.
        """
        try:
            with closing(TopicLog(self._bootstrap, self._topic, "obsctl-alerter")) as log:
                return rows_of(latest(self._found(log)))
        except (TopicMissingError, NotAnsweredError) as error:
            raise LeadershipLostError(str(error)) from None

    def _found(self, log: TopicLog) -> Iterator[Record]:
        while not log.at_end:
            self._beat()
            yield from log.poll(_READ_S)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Return a context in which no other thread can begin a transaction of the file."""
        while not self._lock.acquire(timeout=_PAUSE_S):
            self._beat()
        try:
            yield
        finally:
            self._lock.release()

    def publish(self, rows: Iterable[Row], *, history: Sequence[bytes] = (), whole: bool = False) -> None:
        """Write rows in one transaction; returns when the brokers have it.

        Args:
            rows: what has changed.
            history: history records about these changes.
            whole: whether these are all rows.

        Raises:
            LeadershipLostError: another alerter is active, or the brokers will never accept the transaction.
        """
        records = [record for row in rows for record in records_of(row)]
        if whole:
            records.append((_COMPLETE, msgspec.msgpack.encode(VERSION)))
        if not records and not history:
            return
        with self._waiting():
            reports = self._reports(history)
            while not self._try(records, reports):
                self._beat()
                time.sleep(_PAUSE_S)
                if reports and not self.history.found:
                    reports = self._reports(history)

    def close(self) -> None:
        """Drop the client; the next active alerter's fencing aborts an open transaction."""
        self._producer.purge(blocking=False)

    def _reports(self, records: Sequence[bytes]) -> Sequence[bytes]:
        """Return the records to write to the history now; empty while its topic does not exist."""
        history = self.history
        if not records or history.found:
            return self._with_lost(records)
        if time.monotonic() < history.not_before:
            history.fail(len(records))
            return ()
        # Check first: for a topic that does not exist, the library would wait for seconds, and delay the state as
        # well.
        try:
            topic_log.check_writable(self._producer, history.name)
        except TopicMissingError:
            history.not_before = time.monotonic() + _HISTORY_PAUSE_S
            history.fail(len(records))
            return ()
        except NotAnsweredError:
            # No harm in trying to write: the state is written to the same brokers anyway.
            return self._with_lost(records)
        history.found = True
        return self._with_lost(records)

    def _with_lost(self, records: Sequence[bytes]) -> Sequence[bytes]:
        lost = self.history.unnamed
        return [encode(Lost(at=time.time(), records=lost)), *records] if records and lost else records

    def _try(self, records: list[tuple[bytes, bytes | None]], reports: Sequence[bytes]) -> bool:
        """Return whether the transaction was committed; if not, it should be retried."""
        faults: dict[str, KafkaError] = {}
        try:
            self._producer.begin_transaction()
            for key, value in records:
                self._produce(self._topic, key, value, faults)
            for report in reports:
                self._produce(self.history.name, None, report, faults)
            self._until_answered(self._producer.commit_transaction, _ANSWER_S)
        except KafkaException as error:
            of_history = faults.get(self.history.name)
            if of_history is not None and of_history.code() in topic_log.MISSING:
                self.history.found = False
            self._abort(next(iter(faults.values()), error.args[0]))
            return False
        if reports:
            self.history.trouble, self.history.unnamed = "", 0
        return True

    def _produce(self, topic: str, key: bytes | None, value: bytes | None, faults: dict[str, KafkaError]) -> None:
        def delivered(error: KafkaError | None, _: Any) -> None:
            # A record that was purged because another one failed is not the cause.
            if error is not None and error.code() != KafkaError._PURGE_QUEUE:
                faults.setdefault(topic, error)

        while True:
            try:
                self._producer.produce(topic, value, key, on_delivery=delivered)
            except BufferError:
                self._producer.poll(_PAUSE_S)
                self._beat()
            else:
                return

    def _abort(self, error: KafkaError) -> None:
        """Abort a failed transaction.

        Raises:
            LeadershipLostError: this client can make no further transaction.
        """
        LOG.warning("the state cannot be written to Kafka yet", extra={"topic": self._topic, "error": error.str()})
        try:
            self._until_answered(self._producer.abort_transaction, _ANSWER_S)
        except KafkaException as fault:
            raise LeadershipLostError(fault.args[0].str()) from None

    def _until_answered(self, ask: Callable[[float], None], timeout_s: float) -> None:
        """Repeat a question until it is answered.

        Raises:
            KafkaException: the transaction is to be aborted.
            LeadershipLostError: another alerter is active, or the client cannot be used any more.
        """
        while True:
            self._beat()
            try:
                ask(timeout_s)
            except KafkaException as error:
                fault: KafkaError = error.args[0]
                if fault.fatal():
                    raise LeadershipLostError(fault.str()) from None
                if not fault.retriable():
                    raise
            else:
                return

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        self.waiting_since = time.monotonic()
        try:
            yield
        finally:
            self.waiting_since = 0.0


def read_rows(bootstrap: Sequence[str], topic: str) -> list[Row] | None:
    """Return the rows that the topic holds, without becoming its writer; None if no alerter ever wrote all rows.

    Args:
        bootstrap: brokers as ``HOST:PORT``.
        topic: its name.

    Raises:
        ConfigError: another release wrote them.
        TopicMissingError: there is no such topic.
        NotAnsweredError: no broker answers.
    """
    return rows_of(latest(topic_log.read(bootstrap, topic, "obsctl")))


def latest(records: Iterable[Record]) -> dict[bytes, bytes]:
    """Return the latest value by key, without deleted keys."""
    found: dict[bytes, bytes] = {}
    for record in records:
        if record.value is None:
            found.pop(record.key, None)
        else:
            found[record.key] = record.value
    return found


def rows_of(records: Mapping[bytes, bytes]) -> list[Row] | None:
    """Return the rows that the topic's records define; None if no alerter ever wrote all rows.

    Args:
        records: the latest value by key, without deleted keys.

    Raises:
        ConfigError: a later release wrote them.
    """
    complete = records.get(_COMPLETE)
    if complete is None:
        return None
    written = msgspec.msgpack.decode(complete, type=int)
    if written != VERSION:
        raise ConfigError(
            f"the alerters' state in Kafka has version {written}, this release reads {VERSION}",
            hint="install the same release on all hosts of group consumer: ansible-playbook site.yml",
        )
    rows = []
    for text, value in records.items():
        key = msgspec.json.decode(text)
        if text == _COMPLETE or key[-1] != 0:
            continue
        parts, body = msgspec.msgpack.decode(value, type=tuple[int, bytes])
        for number in range(1, parts):
            body += msgspec.msgpack.decode(records[_key((*key[:-1], number))], type=tuple[int, bytes])[1]
        rows.append(Row(key[0], tuple(key[1:-1]), tuple(msgspec.msgpack.decode(body))))
    return rows


def records_of(row: Row) -> Iterator[tuple[bytes, bytes | None]]:
    """Return a row's records; the first part says how many count, so leftover parts of a longer row are ignored."""
    if row.values is None:
        yield _key((row.table, *row.key, 0)), None
        return
    body = msgspec.msgpack.encode(row.values)
    parts = [body[start : start + _PART_BYTES] for start in range(0, len(body), _PART_BYTES)]
    for number, part in enumerate(parts):
        yield _key((row.table, *row.key, number)), msgspec.msgpack.encode((len(parts), part))


def _key(parts: tuple[Any, ...]) -> bytes:
    return msgspec.json.encode(parts)
