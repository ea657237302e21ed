"""The state in Kafka: each row of the state file is a record of one compacted topic, written in Kafka's transactions.

The active alerter writes what a transaction of the file changed to the topic first and to the file afterwards. So the
topic is the source of truth and the file a copy of it: an alerter that becomes active fills its file from the topic.
The transactional id belongs to whichever alerter is active. The one that begins with it later fences the earlier one
(KIP-98), whose open transaction is aborted and whose next one is refused: it can neither store nor send what it
decided.

A record's key is a JSON array: table, primary key, number of the part; its value is a part of the row in MessagePack.
The record ``["complete"]`` says that an alerter once wrote all rows; a topic without it is new or was created again.
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

#: Of the tables, in the state file and in the topic.
VERSION = 4
#: Its value is the version of the tables.
_COMPLETE = b'["complete"]'
#: A record may have 1,000,000 bytes (message.max.bytes).
_PART_BYTES = 700_000
#: How long one answer may take, seconds; then the question is repeated.
_ANSWER_S = 5.0
_PAUSE_S = 0.5
#: The library waits for so long when there is less than a whole batch, seconds.
_READ_S = 0.05


#: So long nothing is written to a history that does not exist, seconds.
_HISTORY_PAUSE_S = 60.0


class LeadershipLostError(Exception):
    """Another alerter is the active one now, or the topic is not the one that it was."""


@dataclass
class HistoryTopic:
    """How writing the history goes: it must not stop what it reports.

    Attributes:
        name: of the topic.
        lost: records that were not written, since this alerter became the active one.
        trouble: why not; empty while they are.
        trouble_since: since when, monotonic seconds.
    """

    name: str
    lost: int = 0
    trouble: str = ""
    trouble_since: float = 0.0
    #: Not looked for before this moment, monotonic seconds.
    not_before: float = 0.0
    #: Whether it was there when it was looked for last.
    found: bool = False
    #: Lost records that the history does not name yet.
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
    """Writes rows to the topic while this alerter is the active one, and what they report to the history's.

    Args:
        config: the brokers, the topic, and the group whose name is the transactional id.
        beat: called while an answer is awaited, so that the waiting does not count as a hang; may raise to give up.
    """

    def __init__(self, config: KafkaConfig, beat: Callable[[], None]) -> None:
        self._topic = config.topics.state
        self.history = HistoryTopic(config.topics.history)
        self._bootstrap = config.brokers
        self._beat = beat
        self._lock = threading.RLock()
        #: Since when an answer is awaited, monotonic seconds; 0 when none is.
        self.waiting_since = 0.0
        self._producer = Producer(
            clients.settings(config.brokers, "obsctl-alerter")
            | {
                "transactional.id": config.group,
                "transaction.timeout.ms": 30_000,
                "compression.type": "lz4",
                "linger.ms": 0,
                # A history without a topic must not hold up the state for half a minute.
                "topic.metadata.propagation.max.ms": 3000,
                "log_level": 0,
            }
        )

    def fence(self) -> None:
        """Become the only writer: Kafka refuses the transactions of earlier ones from now on.

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
        """Keep other threads from beginning a transaction of the file."""
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
            history: records that report it.
            whole: these are all rows that there are.

        Raises:
            LeadershipLostError: another alerter is active, or the brokers will never take it.
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
        """Forget the client; an open transaction is aborted by the next active alerter."""
        self._producer.purge(blocking=False)

    def _reports(self, records: Sequence[bytes]) -> Sequence[bytes]:
        """Return what is to be written to the history now: nothing while it has no topic."""
        history = self.history
        if not records or history.found:
            return self._with_lost(records)
        if time.monotonic() < history.not_before:
            history.fail(len(records))
            return ()
        # Asked first: the library would wait for seconds for a topic that does not exist, and the state with it.
        try:
            topic_log.check_writable(self._producer, history.name)
        except TopicMissingError:
            history.not_before = time.monotonic() + _HISTORY_PAUSE_S
            history.fail(len(records))
            return ()
        except NotAnsweredError:
            # The state waits for the same brokers.
            return self._with_lost(records)
        history.found = True
        return self._with_lost(records)

    def _with_lost(self, records: Sequence[bytes]) -> Sequence[bytes]:
        lost = self.history.unnamed
        return [encode(Lost(at=time.time(), records=lost)), *records] if records and lost else records

    def _try(self, records: list[tuple[bytes, bytes | None]], reports: Sequence[bytes]) -> bool:
        """Return whether the transaction was committed; False when it is to be tried again."""
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
            # A message that was purged by the failure of another one is no cause.
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
        """Take back a transaction that failed.

        Raises:
            LeadershipLostError: no other transaction can follow.
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
            LeadershipLostError: another alerter is active, or the client is of no more use.
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
    """Return the latest value by key, without the keys that were deleted."""
    found: dict[bytes, bytes] = {}
    for record in records:
        if record.value is None:
            found.pop(record.key, None)
        else:
            found[record.key] = record.value
    return found


def rows_of(records: Mapping[bytes, bytes]) -> list[Row] | None:
    """Return the rows that the topic's records say; None if no alerter ever wrote all rows.

    Args:
        records: the latest value by key, without the keys that were deleted.

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
    """Return a row's records; parts that an earlier, longer row had are not read, for the first says how many count."""
    if row.values is None:
        yield _key((row.table, *row.key, 0)), None
        return
    body = msgspec.msgpack.encode(row.values)
    parts = [body[start : start + _PART_BYTES] for start in range(0, len(body), _PART_BYTES)]
    for number, part in enumerate(parts):
        yield _key((row.table, *row.key, number)), msgspec.msgpack.encode((len(parts), part))


def _key(parts: tuple[Any, ...]) -> bytes:
    return msgspec.json.encode(parts)
