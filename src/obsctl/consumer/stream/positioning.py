"""Where partitions go on: the store is asked, the broker has to have that place, and what is odd is explained.

Odd are: a topic that was deleted and made again, a cluster that the database does not know, a database that knows less
than the group was told (it was restored), and a database that knows more than the broker (the cluster was restored).
"""

from __future__ import annotations

import logging
import time
from typing import NamedTuple

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException

from obsctl.consumer.stream.ends import Ends
from obsctl.consumer.stream.membership import note_kafka_away
from obsctl.consumer.stream.progress import Progress, names
from obsctl.consumer.telemetry import Telemetry
from obsctl.consumer.writer import Positioned, Question, Writer
from obsctl.core.backoff import Backoff
from obsctl.kafka.partition import TopicPartition
from obsctl.store.batch import Source, Step, skip
from obsctl.store.interface import Origin, Position

log = logging.getLogger(__name__)

_METADATA_SECONDS = 5.0
_VERIFY_SECONDS = 10.0
#: A topic that was made again is not read before this time has passed: a broker that does not know yet would still
#: tell the old one's records at the new one's offsets. Later it is fenced (broker.session.timeout.ms is 9 s).
_SETTLE_SECONDS = 10.0


class Hold(NamedTuple):
    """A position that lay beyond the broker's end.

    Attributes:
        position: source id and next offset.
        lowest: the lowest end that was seen: what was written there since may be new, whatever the database believes.
    """

    position: tuple[int, int]
    lowest: int


class Positioning:
    """Gives waiting partitions the places where they go on.

    Args:
        held: partitions whose position lies beyond the broker's end; outlives the client.
    """

    def __init__(
        self, progress: Progress, writer: Writer, ends: Ends, telemetry: Telemetry, *, held: dict[TopicPartition, Hold]
    ) -> None:
        self._progress = progress
        self._writer = writer
        self._ends = ends
        self._telemetry = telemetry
        self._held = held
        self._asked: set[TopicPartition] = set()
        self._backoff = Backoff(0.2, 5.0)
        self._verification: Question | None = None
        self._verify_at = 0.0
        #: What the group had been told before the store was asked: never more than is stored, as long as the database
        #: is the same.
        self._committed: dict[TopicPartition, int] = {}
        #: When a partition's broker last did not answer in time (monotonic seconds).
        self._timed_out: dict[TopicPartition, float] = {}
        #: When a topic that was made again was seen first, by partition and topic id (monotonic seconds).
        self._remade: dict[tuple[TopicPartition, str], float] = {}

    def ask(self, consumer: confluent_kafka.Consumer) -> None:
        """Have the store asked about the partitions that wait."""
        self._verify()
        wanted = self._progress.waiting.keys() - self._asked
        if not wanted or time.monotonic() < self._progress.ask_again_at:
            return
        try:
            cluster = self._ends.identify({part.topic for part in wanted})
        except KafkaException as error:
            note_kafka_away(self._telemetry, str(error))
            self._ask_later()
            return
        topic_ids = {part: cluster.topic_ids[part.topic] for part in wanted if part.topic in cluster.topic_ids}
        if len(topic_ids) < len(wanted):
            self._ask_later()
        if topic_ids:
            self._note_committed(consumer, set(topic_ids))
            self._writer.ask(Question(cluster.cluster_id, topic_ids))
            self._asked |= topic_ids.keys()

    def take(self, consumer: confluent_kafka.Consumer, answer: Positioned) -> None:
        """Let the partitions that still wait go on at the places that the store told."""
        if answer.question is self._verification:
            self._verification = None
            self._leave_moved(consumer, answer)
            return
        self._asked -= answer.positions.keys()
        # Those that made the others wait come last: one without a leader must not keep all of them from being read.
        told = self._progress.waiting.keys() & answer.positions.keys()
        for part in sorted(told, key=lambda part: self._timed_out.get(part, 0.0)):
            source = Source(
                answer.positions[part].source_id, answer.question.cluster_id, answer.question.topic_ids[part]
            )
            try:
                self._start_at(consumer, part, source, answer.positions[part])
            except KafkaException as error:
                # Usually an assignment that is not complete yet; it is asked for again.
                log.debug("a partition is not ready yet", extra={"error": str(error)})
                self._ask_later()
                if error.args[0].code() in {KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN}:
                    self._timed_out[part] = time.monotonic()
                    return  # the next one would wait as long, and the group waits for us

    def _verify(self) -> None:
        """Have the store asked about the partitions that go on: one without new lines meets no fence."""
        now = time.monotonic()
        sources = self._progress.sources
        if self._verification is not None or now < self._verify_at or not sources:
            return
        self._verify_at = now + _VERIFY_SECONDS
        cluster_id = next(iter(sources.values())).cluster_id  # of all of them: a client speaks to one cluster
        self._verification = Question(cluster_id, {part: source.topic_id for part, source in sources.items()})
        self._writer.ask(self._verification)

    def _leave_moved(self, consumer: confluent_kafka.Consumer, answer: Positioned) -> None:
        """Take back partitions whose position somebody else has moved, or that a restored database no longer knows.

        The answer follows the results of all that was given to the writer before it, so what is known as stored is
        what the store holds, if nobody else has moved it.
        """
        progress = self._progress
        moved = [
            part
            for part, position in answer.positions.items()
            if part in progress.sources
            and progress.sources[part].topic_id == answer.question.topic_ids[part]
            and (progress.sources[part].source_id, progress.stored[part]) != position[:2]
        ]
        if moved:
            log.warning("positions were moved by somebody else", extra={"partitions": names(moved)})
            progress.let_wait(consumer, moved)

    def _ask_later(self) -> None:
        self._progress.ask_again_at = time.monotonic() + self._backoff.delay()

    def _note_committed(self, consumer: confluent_kafka.Consumer, parts: set[TopicPartition]) -> None:
        for part in parts:
            self._committed.pop(part, None)
        try:
            told = consumer.committed([confluent_kafka.TopicPartition(*p) for p in parts], timeout=_METADATA_SECONDS)
        except KafkaException as error:
            # It serves the explanation only; where to go on is the store's to say.
            log.info("the group's offsets cannot be read", extra={"error": str(error)})
            return
        for p in told:
            if p.error is None and p.offset >= 0:
                self._committed[TopicPartition(p.topic, p.partition)] = p.offset

    def _start_at(
        self, consumer: confluent_kafka.Consumer, part: TopicPartition, source: Source, position: Position
    ) -> None:
        """Let a partition go on where the store says, if the broker still has that place.

        Raises:
            KafkaException: the broker does not answer, or the client has not finished the assignment; try again.
        """
        place = confluent_kafka.TopicPartition(part.topic, part.partition)
        low, high = consumer.get_watermark_offsets(place, timeout=_METADATA_SECONDS)
        if self._is_settling(part, source, position) or self._hold(part, position, low, high):
            self._ask_later()
            return
        start = max(self._from_held(part, position), low)
        consumer.seek(confluent_kafka.TopicPartition(part.topic, part.partition, start))
        known = self._explain(part, source, position)
        if start > position.next_offset and known:
            self._lose(part, position.next_offset, start)
        if start != position.next_offset:
            # Stored at once: where nothing is left to read, no line would ever carry the position there.
            self._writer.give(skip(position.source_id, part, Step(position.next_offset, start)))
        self._progress.next[part] = start
        self._progress.stored[part] = position.next_offset
        self._progress.sources[part] = source
        del self._progress.waiting[part]
        self._telemetry.clear(_name(part))
        self._backoff.reset()
        if not self._progress.paused:
            consumer.resume([place])

    def _is_settling(self, part: TopicPartition, source: Source, position: Position) -> bool:
        """Whether a topic was made again so lately that not every broker may know; says so once."""
        if position.origin is not Origin.REMADE:
            return False
        self._notice(
            part.topic,
            f"the topic was deleted and made again (its id is now {source.topic_id}): it is read from its beginning",
            "nothing is to be done, if that was meant; what the old topic held and nobody had read is lost with it",
        )
        seen = self._remade.setdefault((part, source.topic_id), time.monotonic())
        return time.monotonic() - seen < _SETTLE_SECONDS

    def _hold(self, part: TopicPartition, position: Position, low: int, high: int) -> bool:
        """Whether the partition has to wait because the database knows more than the broker has."""
        held = self._held.get(part)
        lowest = min(high, held.lowest) if held is not None and held.position == position[:2] else high
        if position.next_offset <= high:
            return False
        self._held[part] = Hold(position[:2], lowest)
        message = f"the database is at offset {position.next_offset}, the broker ends at {high}"
        hint = (
            "was the cluster restored from a snapshot? obsctl consumer reset"
            f" --topic {part.topic} --partition {part.partition} --to earliest"
            " reads all again that the broker has; known lines are not stored a second time"
        )
        if self._telemetry.trouble(_name(part), message, hint):
            log.error(
                "a partition is held",
                extra={"partition": _name(part), "error": message, "hint": hint, "first": low, "end": high},
            )
        return True

    def _from_held(self, part: TopicPartition, position: Position) -> int:
        """Return where a partition goes on that may have been held.

        Either a new leader has learnt what its predecessor had acknowledged, or the broker has lost records and written
        others at their offsets. Reading again from the lowest end that was seen is right for both.
        """
        held = self._held.pop(part, None)
        if held is None or held.position != position[:2]:
            return position.next_offset
        self._notice(
            f"{_name(part)} held",
            f"the broker ended at {held.lowest}, before the database's offset {position.next_offset}, and has grown"
            " past it: it is read again from there",
            "nothing is to be done: each line is stored once. Was the cluster restored, or only a leader elected?",
        )
        return held.lowest

    def _explain(self, part: TopicPartition, source: Source, position: Position) -> bool:
        """Say what is odd about a position; return whether records before the broker's first one are a loss."""
        if position.origin is Origin.REMADE:
            return False
        if position.origin is Origin.OTHER_CLUSTER:
            self._notice(
                part.topic,
                f"the database knows this topic of another cluster only, not of {source.cluster_id}: it is read from"
                " its beginning",
                "nothing is to be done, if the cluster was built anew; else correct kafka.bootstrap",
            )
        committed = self._committed.get(part, 0)
        if committed > position.next_offset:
            self._notice(
                f"{_name(part)} database",
                f"the database is at offset {position.next_offset}, and the group had been told {committed}: it was"
                " restored or made anew, or the position was moved back;"
                f" {committed - position.next_offset} offsets are read again",
                "nothing is to be done: each line is stored once. What Kafka no longer has is counted as missing",
            )
        return bool(position.next_offset or committed)

    def _lose(self, part: TopicPartition, expected: int, came: int) -> None:
        self._telemetry.missing(came - expected)
        self._telemetry.notice(
            f"{_name(part)} missing",
            f"offsets {expected} to {came - 1} are missing: the broker deleted them before they were read",
            "their lines are lost, unless the shipper's files still hold them; was the consumer or the database away"
            " for longer than the topic's retention?",
        )
        log.error(
            "offsets are missing: the broker deleted them before they were read",
            extra={"partition": _name(part), "from_offset": expected, "to_offset": came - 1},
        )

    def _notice(self, subject: str, message: str, hint: str) -> None:
        if self._telemetry.notice(subject, message, hint):
            log.warning(message, extra={"subject": subject, "hint": hint})


def _name(part: TopicPartition) -> str:
    return f"{part.topic}/{part.partition}"
