"""Where partitions go on: the store is asked, the broker has to have that place, and what is gone is counted."""

from __future__ import annotations

import logging
import time

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException

from obsctl.pipeline.backoff import Backoff
from obsctl.pipeline.batch import Source, Step, TopicPartition, skip
from obsctl.pipeline.membership import note_kafka_away
from obsctl.pipeline.progress import Progress
from obsctl.pipeline.store import Position
from obsctl.pipeline.telemetry import Telemetry
from obsctl.pipeline.writer import Positioned, Writer

log = logging.getLogger(__name__)

_METADATA_SECONDS = 5.0


class Positioning:
    """Gives waiting partitions the places where they go on."""

    def __init__(self, progress: Progress, writer: Writer, telemetry: Telemetry) -> None:
        self._progress = progress
        self._writer = writer
        self._telemetry = telemetry
        self._asked: set[TopicPartition] = set()
        self._backoff = Backoff(0.2, 5.0)

    def ask(self, consumer: confluent_kafka.Consumer) -> None:
        """Have the store asked about the partitions that wait."""
        wanted = self._progress.waiting.keys() - self._asked
        if not wanted or time.monotonic() < self._progress.ask_again_at:
            return
        try:
            cluster_id = consumer.list_topics(next(iter(wanted)).topic, timeout=_METADATA_SECONDS).cluster_id
        except KafkaException as error:
            note_kafka_away(self._telemetry, str(error))
            self._ask_later()
            return
        self._writer.ask(cluster_id, wanted)
        self._asked |= wanted

    def take(self, consumer: confluent_kafka.Consumer, answer: Positioned) -> None:
        """Let the partitions that still wait go on at the places that the store told."""
        self._asked -= answer.positions.keys()
        for part in self._progress.waiting.keys() & answer.positions.keys():
            try:
                self._start_at(consumer, answer.cluster_id, part, answer.positions[part])
            except KafkaException as error:
                # Usually an assignment that is not complete yet; it is asked for again.
                log.debug("a partition is not ready yet", extra={"error": str(error)})
                self._ask_later()
                if error.args[0].code() == KafkaError._TIMED_OUT:
                    return  # the next one would wait as long, and the group waits for us

    def _ask_later(self) -> None:
        self._progress.ask_again_at = time.monotonic() + self._backoff.delay()

    def _start_at(
        self, consumer: confluent_kafka.Consumer, cluster_id: str, part: TopicPartition, position: Position
    ) -> None:
        """Let a partition go on where the store says, if the broker still has that place.

        Raises:
            KafkaException: the broker does not answer, or the client has not finished the assignment; try again.
        """
        place = confluent_kafka.TopicPartition(part.topic, part.partition)
        low, high = consumer.get_watermark_offsets(place, timeout=_METADATA_SECONDS)
        subject = f"{part.topic}/{part.partition}"
        if position.next_offset > high:
            # A new leader may not know yet what its predecessor had acknowledged; then this passes. If it stays, the
            # topic was made anew or the database knows more than this cluster: a person has to say which.
            message = f"the database is at offset {position.next_offset}, the broker ends at {high}"
            hint = (
                "was the topic made anew, or the cluster restored? If its lines are all new, set next_offset of "
                f"source {position.source_id} in log_source to {low}: known lines will not be stored again"
            )
            if self._telemetry.trouble(subject, message, hint):
                log.error("a partition is held", extra={"partition": subject, "error": message, "hint": hint})
            self._ask_later()
            return
        start = max(position.next_offset, low)
        consumer.seek(confluent_kafka.TopicPartition(part.topic, part.partition, start))
        if start > position.next_offset:
            if position.next_offset:
                self._lose(part, position.next_offset, start)
            # Stored at once: where nothing is left to read, no line would ever carry the position over the gap.
            self._writer.give(skip(position.source_id, part, Step(position.next_offset, start)))
        self._progress.next[part] = start
        self._progress.stored[part] = position.next_offset
        self._progress.sources[part] = Source(position.source_id, cluster_id)
        del self._progress.waiting[part]
        self._telemetry.clear(subject)
        self._backoff.reset()
        if not self._progress.paused:
            consumer.resume([place])

    def _lose(self, part: TopicPartition, expected: int, came: int) -> None:
        self._telemetry.missing_offsets += came - expected
        log.error(
            "offsets are missing: the broker deleted them before they were read",
            extra={"partition": f"{part.topic}/{part.partition}", "from_offset": expected, "to_offset": came - 1},
        )
