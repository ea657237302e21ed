"""Takes records from the client: up to one batch, only from assigned partitions, none twice, gaps only if confirmed."""

from __future__ import annotations

import logging
import time

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException, Message

from obsctl.consumer.config import BatchLimits
from obsctl.consumer.stream.progress import Gap, Progress
from obsctl.kafka.clients import is_fatal
from obsctl.kafka.partition import TopicPartition
from obsctl.store.batch import Run

log = logging.getLogger(__name__)

#: A batch ends at this many bytes of records, however few lines: a limit for memory, not a tuning option.
_BATCH_BYTES = 8 * 2**20
_CALL_LINES = 500
#: The client's errors for an offset that the broker does not have: from its own look-up, and from the broker.
_OUT_OF_RANGE = frozenset({KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE})
_POLL_S = 0.2
#: A new leader may refuse an offset that is within its log: it is retried once in this time.
_OUT_OF_RANGE_PAUSE_S = 1.0


class Intake:
    """Reads from a client the records that follow the partitions' progress."""

    def __init__(self, limits: BatchLimits, progress: Progress) -> None:
        self._limits = limits
        self._progress = progress
        #: Average size of the records read last; the first ones are expected to be large.
        self._record_bytes = _BATCH_BYTES / 20

    def poll_paused(self, consumer: confluent_kafka.Consumer) -> list[Message]:
        """Poll once while the partitions are paused, which keeps the membership alive."""
        return self._poll(consumer, _CALL_LINES, _POLL_S)

    def collect(self, consumer: confluent_kafka.Consumer) -> list[Message]:
        """Read until the batch's time is over or the batch is full."""
        limits = self._limits
        deadline = time.monotonic() + limits.interval_ms / 1000
        messages: list[Message] = []
        size = 0
        while len(messages) < limits.lines and size < _BATCH_BYTES:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            # As many as probably fit, by the size of the last ones: a call returns everything that it was asked for.
            room = int((_BATCH_BYTES - size) / self._record_bytes) + 1
            got = self._poll(consumer, min(limits.lines - len(messages), _CALL_LINES, room), left)
            if got:
                more = sum(map(len, got))
                self._record_bytes = max(more / len(got), 1.0)
                size += more
            messages += got
        return messages

    def accept(self, consumer: confluent_kafka.Consumer, messages: list[Message]) -> list[Run]:
        """Return the records that follow the previous ones without a gap; drop the others.

        Dropped are records of partitions that are no longer read, and records fetched before a seek. A gap counts only
        if it is seen again after a seek back to its beginning.
        """
        expected: dict[TopicPartition, int] = dict(self._progress.next)
        runs: list[Run] = []
        part: TopicPartition | None = None
        next_offset: int | None = None
        run: Run | None = None
        for message in messages:
            if part is None or message.partition() != part.partition or message.topic() != part.topic:
                if part is not None and next_offset is not None:
                    expected[part] = next_offset
                part, run = TopicPartition(message.topic(), message.partition()), None
                next_offset = expected.get(part)
            if next_offset is None:
                continue
            offset = message.offset()
            if offset != next_offset:
                if offset < next_offset:
                    continue
                if not self._confirm_gap(consumer, part, Gap(next_offset, offset)):
                    del expected[part]
                    next_offset = None
                    continue
                run = None
            if run is None:
                run = Run(part, offset, [])
                runs.append(run)
            run.values.append(message.value())
            next_offset = offset + 1
        return runs

    def _poll(self, consumer: confluent_kafka.Consumer, count: int, timeout: float) -> list[Message]:
        messages: list[Message] = consumer.consume(count, timeout)
        errors = [m for m in messages if m.error() is not None]
        if not errors:
            return messages
        for message in errors:
            self._take_error(consumer, message)
        return [m for m in messages if m.error() is None]

    def _take_error(self, consumer: confluent_kafka.Consumer, message: Message) -> None:
        """Handle an error that the client returned in place of a record.

        Raises:
            KafkaException: the client cannot be used any more.
        """
        error = message.error()
        if is_fatal(error):
            raise KafkaException(error)
        # For any other error, the queries for the ends show whether it lasts and what it means.
        log.info("the Kafka client reports", extra={"error": error.str()})
        if error.code() in _OUT_OF_RANGE:
            # The broker no longer has the wanted records, because the retention has deleted them. The client has then
            # stopped reading the partition and refuses every seek, so the partition is assigned again, at an offset
            # that exists.
            part = TopicPartition(message.topic(), message.partition())
            if part in self._progress.next:
                self._progress.await_positions(consumer, [part])
                self._progress.ask_again_at = time.monotonic() + _OUT_OF_RANGE_PAUSE_S

    def _confirm_gap(self, consumer: confluent_kafka.Consumer, part: TopicPartition, gap: Gap) -> bool:
        """Return whether a gap was seen before; if not, seek back to its beginning."""
        if self._progress.gaps.get(part) == gap:
            # Markers of producers' transactions use offsets as well, so a gap does not prove a loss.
            log.warning("offsets skipped", extra={"partition": str(part), **gap._asdict()})
            return True
        self._progress.gaps[part] = gap
        try:
            consumer.seek(confluent_kafka.TopicPartition(part.topic, part.partition, gap.expected))
        except KafkaException:
            self._progress.await_positions(consumer, [part])
        return False
