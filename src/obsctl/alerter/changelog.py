"""The state in Kafka: each row of the state file is a record of one compacted topic, written in Kafka's transactions.

The active alerter writes what a transaction of the file changed to the topic first and to the file afterwards. So the
topic is what counts, and the file a copy of it: an alerter that becomes the active one fills its file from the topic.
The transactional id belongs to whichever alerter is active. The one that begins with it later fences the earlier one
(KIP-98), whose open transaction is aborted and whose next one is refused: what it decided, it can neither store nor
send.

A record's key is a JSON array: table, primary key, number of the part; its value is a part of the row in MessagePack.
The record ``["complete"]`` says that the topic once got a whole file; a topic without it was created again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
from confluent_kafka import KafkaError, KafkaException, Producer

from obsctl.alerter.config import KafkaConfig
from obsctl.alerter.rows import Row
from obsctl.core.errors import ConfigError
from obsctl.kafka import clients, compacted

LOG = logging.getLogger(__name__)

#: Its value is the version of the tables.
_COMPLETE = b'["complete"]'
#: A record may have 1,000,000 bytes (message.max.bytes).
_PART_BYTES = 700_000
#: How long one answer may take, seconds; then the question is repeated.
_ANSWER_S = 5.0
_PAUSE_S = 0.5


class LeadershipLostError(Exception):
    """Another alerter is the active one now, or the topic is not the one that it was."""


class Changelog:
    """Writes rows to the topic while this alerter is the active one.

    Args:
        config: the brokers, the topic, and the group whose name is the transactional id.
        version: of the tables.
        beat: called while an answer is awaited, so that nobody takes the waiting for a hang; may raise to give up.
    """

    def __init__(self, config: KafkaConfig, version: int, beat: Callable[[], None]) -> None:
        self._topic = config.topics.state
        self._bootstrap = config.bootstrap
        self._version = version
        self._beat = beat
        self._lock = threading.RLock()
        #: Since when an answer is awaited, monotonic seconds; 0 when none is.
        self.waiting_since = 0.0
        self._producer = Producer(
            clients.settings(config.bootstrap, "obsctl-alerter")
            | {
                "transactional.id": config.group,
                "transaction.timeout.ms": 30_000,
                "compression.type": "lz4",
                "linger.ms": 0,
                "log_level": 0,
            }
        )

    def fence(self) -> None:
        """Become the only one who can write.

        Raises:
            LeadershipLostError: this cannot be done.
        """
        try:
            with self._waiting():
                self._until_answered(self._producer.init_transactions, _ANSWER_S)
        except KafkaException as error:
            raise LeadershipLostError(error.args[0].str()) from None

    def read(self) -> list[Row] | None:
        """Return the rows that the topic holds; None where it never got a whole file.

        Raises:
            ConfigError: another release wrote them.
            LeadershipLostError: the topic cannot be read.
        """
        try:
            records = compacted.read(self._bootstrap, self._topic, 1, "obsctl-alerter", self._beat)
        except KafkaException as error:
            raise LeadershipLostError(error.args[0].str()) from None
        return rows_of(records, self._version)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Keep other threads from beginning a transaction of the file."""
        while not self._lock.acquire(timeout=_PAUSE_S):
            self._beat()
        try:
            yield
        finally:
            self._lock.release()

    def publish(self, rows: Iterable[Row], *, whole: bool = False) -> None:
        """Write rows in one transaction; returns when the brokers have it.

        Args:
            rows: what has changed.
            whole: these are all rows that there are.

        Raises:
            LeadershipLostError: another alerter is active, or the brokers will never take it.
        """
        records = [record for row in rows for record in records_of(row)]
        if whole:
            records.append((_COMPLETE, msgspec.msgpack.encode(self._version)))
        if not records:
            return
        with self._waiting():
            while not self._try(records):
                self._beat()
                time.sleep(_PAUSE_S)

    def close(self) -> None:
        """Forget the client; an open transaction is aborted by the next active alerter."""
        self._producer.purge(blocking=False)

    def _try(self, records: list[tuple[bytes, bytes | None]]) -> bool:
        """Return whether the transaction was committed; False when it is to be tried again."""
        faults: list[KafkaError] = []
        try:
            self._producer.begin_transaction()
            for key, value in records:
                self._produce(key, value, faults)
            self._until_answered(self._producer.commit_transaction, _ANSWER_S)
        except KafkaException as error:
            self._abort(faults[0] if faults else error.args[0])
            return False
        return True

    def _produce(self, key: bytes, value: bytes | None, faults: list[KafkaError]) -> None:
        def delivered(error: KafkaError | None, _: Any) -> None:
            if error is not None:
                faults.append(error)

        while True:
            try:
                self._producer.produce(self._topic, value, key, on_delivery=delivered)
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


def rows_of(records: Mapping[bytes, bytes], version: int) -> list[Row] | None:
    """Return the rows that the topic's records say; None where it never got a whole file.

    Args:
        records: the latest value by key, without the keys that were deleted.
        version: of the tables that this release reads.

    Raises:
        ConfigError: a later release wrote them.
    """
    complete = records.get(_COMPLETE)
    if complete is None:
        return None
    written = msgspec.msgpack.decode(complete, type=int)
    if written != version:
        raise ConfigError(
            f"the alerters' state in Kafka has version {written}, this alerter reads {version}",
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
