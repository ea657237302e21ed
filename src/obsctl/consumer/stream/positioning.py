"""Where each partition resumes: the store has the offset, the broker must have it, and unusual cases are reported.

The cases are: a topic that was deleted and created again, a cluster that the database does not know, a database that
is behind the group's committed offsets (the database was restored), and one that is ahead of the broker (the cluster
was restored).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping
from typing import NamedTuple

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException

from obsctl.consumer.stream.ends import Ends, note_kafka_away
from obsctl.consumer.stream.progress import Progress, names
from obsctl.consumer.telemetry import Telemetry
from obsctl.consumer.writer import Positioned, Question, Writer
from obsctl.core.backoff import Backoff
from obsctl.kafka.partition import TopicPartition
from obsctl.store.batch import Source, Step, skip
from obsctl.store.interface import Origin, Position

log = logging.getLogger(__name__)

_METADATA_S = 5.0
_VERIFY_S = 10.0
#: A topic that was created again is not read before this time has passed: a broker that does not know about it yet
#: would still return the old topic's records at the new one's offsets. After this time such a broker is fenced
#: (broker.session.timeout.ms is 9 s).
_SETTLE_S = 10.0


class Hold(NamedTuple):
    """A position that was beyond the broker's end.

    Attributes:
        position: source id and next offset.
        lowest: the lowest end that was seen: records written from there on may be new, whatever the database says.
    """

    position: tuple[int, int]
    lowest: int


class Positioning:
    """Finds where waiting partitions resume, and starts reading them there.

    Args:
        held: partitions whose position is beyond the broker's end; kept when the client is replaced.
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
        #: The group's committed offsets before the store was asked: never beyond what is stored, as long as the
        #: database is the same.
        self._committed: dict[TopicPartition, int] = {}
        #: When a partition's leader last did not answer in time (monotonic seconds).
        self._timed_out: dict[TopicPartition, float] = {}
        #: When a topic that was created again was first seen, by partition and topic id (monotonic seconds).
        self._remade: dict[tuple[TopicPartition, str], float] = {}

    def ask(self, consumer: confluent_kafka.Consumer) -> None:
        """Ask the store for the positions of waiting partitions."""
        self._verify()
        wanted = self._progress.waiting.keys() - self._asked
        if not wanted or time.monotonic() < self._progress.ask_again_at:
            return
        try:
            cluster = self._ends.identify({part.topic for part in wanted})
        except KafkaException as error:
            note_kafka_away(self._telemetry, error.args[0])
            self._ask_later()
            return
        wanted -= self._set_aside(wanted, cluster.partitions)
        topic_ids = {part: cluster.topic_ids[part.topic] for part in wanted if part.topic in cluster.topic_ids}
        if len(topic_ids) < len(wanted):
            self._ask_later()
        if topic_ids:
            self._note_committed(consumer, set(topic_ids))
            self._writer.ask(Question(cluster.cluster_id, topic_ids))
            self._asked |= topic_ids.keys()

    def take(self, consumer: confluent_kafka.Consumer, answer: Positioned) -> None:
        """Start reading the partitions that still wait at the offsets in the store's answer."""
        if answer.question is self._verification:
            self._verification = None
            self._leave_moved(consumer, answer)
            return
        self._asked -= answer.positions.keys()
        # Those that made others wait come last: one without a leader must not keep all others from being read.
        waiting = self._progress.waiting.keys() & answer.positions.keys()
        for part in sorted(waiting, key=lambda part: self._timed_out.get(part, 0.0)):
            source = Source(
                answer.positions[part].source_id, answer.question.cluster_id, answer.question.topic_ids[part]
            )
            try:
                self._start_at(consumer, part, source, answer.positions[part])
            except KafkaException as error:
                log.debug("a partition's offsets on the broker are not known yet", extra={"error": error.args[0].str()})
                self._ask_later()
                if error.args[0].code() in {KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN}:
                    self._timed_out[part] = time.monotonic()
                    return  # the next one would take as long, and the group waits for us

    def _set_aside(
        self, wanted: Collection[TopicPartition], existing: Mapping[str, Collection[int]]
    ) -> set[TopicPartition]:
        """Set aside, and return, the partitions that do not exist in their topic."""
        absent = {part for part in wanted if part.topic in existing and part.partition not in existing[part.topic]}
        if absent:
            log.warning(
                "the topic has no such partitions: it was created again with fewer", extra={"partitions": names(absent)}
            )
            self._progress.set_aside(absent)
            for part in absent:
                self._telemetry.clear(str(part))
        return absent

    def _verify(self) -> None:
        """Ask the store for the positions of partitions that are read: without new lines no fence shows a change."""
        now = time.monotonic()
        sources = self._progress.sources
        if self._verification is not None or now < self._verify_at or not sources:
            return
        self._verify_at = now + _VERIFY_S
        cluster_id = next(iter(sources.values())).cluster_id  # of all partitions: a client has one cluster
        self._verification = Question(cluster_id, {part: source.topic_id for part, source in sources.items()})
        self._writer.ask(self._verification)

    def _leave_moved(self, consumer: confluent_kafka.Consumer, answer: Positioned) -> None:
        """Position partitions again that another process has moved, or that a restored database no longer has.

        The answer comes after the results of everything that was given to the writer before, so the stored positions
        known here equal those of the store, unless another process has moved these.
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
            log.warning("another consumer or a reset moved the positions", extra={"partitions": names(moved)})
            progress.await_positions(consumer, moved)

    def _ask_later(self) -> None:
        self._progress.ask_again_at = time.monotonic() + self._backoff.delay()

    def _note_committed(self, consumer: confluent_kafka.Consumer, parts: set[TopicPartition]) -> None:
        for part in parts:
            self._committed.pop(part, None)
        try:
            found = consumer.committed([confluent_kafka.TopicPartition(*p) for p in parts], timeout=_METADATA_S)
        except KafkaException as error:
            # They only serve to explain unusual cases; the store decides where to resume.
            log.info("the group's committed offsets cannot be read", extra={"error": error.args[0].str()})
            return
        for p in found:
            if p.error is None and p.offset >= 0:
                self._committed[TopicPartition(p.topic, p.partition)] = p.offset

    def _start_at(
        self, consumer: confluent_kafka.Consumer, part: TopicPartition, source: Source, position: Position
    ) -> None:
        """Start reading a partition at the store's offset, if the broker still has it.

        Raises:
            KafkaException: the partition's leader does not answer; try again.
        """
        place = confluent_kafka.TopicPartition(part.topic, part.partition)
        low, high = consumer.get_watermark_offsets(place, timeout=_METADATA_S)
        if self._is_settling(part, source, position) or self._hold(part, position, low, high):
            self._ask_later()
            return
        start = max(self._from_held(part, position), low)
        self._progress.read_from(consumer, part, start, source, position.next_offset)
        known = self._explain(part, source, position)
        lost = start - position.next_offset if start > position.next_offset and known else 0
        if lost:
            self._lose(part, position.next_offset, start)
        if start != position.next_offset:
            # Stored at once: if nothing is left to read, no batch would ever move the position there.
            self._writer.give(skip(position.source_id, part, Step(position.next_offset, start, lost)))
        self._telemetry.clear(str(part))
        self._backoff.reset()

    def _is_settling(self, part: TopicPartition, source: Source, position: Position) -> bool:
        """Whether a topic was created again so recently that some broker may not know it; reports this once."""
        if position.origin is not Origin.REMADE:
            return False
        self._notice(
            part.topic,
            f"the topic was deleted and created again (its id is now {source.topic_id}): it is read from its beginning",
            "no action needed if that was intended; records of the old topic that were not read yet are lost",
            since=position.known_at,
        )
        seen = self._remade.setdefault((part, source.topic_id), time.monotonic())
        return time.monotonic() - seen < _SETTLE_S

    def _hold(self, part: TopicPartition, position: Position, low: int, high: int) -> bool:
        """Whether the partition must wait because its position in the database is beyond the broker's end."""
        held = self._held.get(part)
        lowest = min(high, held.lowest) if held is not None and held.position == position[:2] else high
        if position.next_offset <= high:
            return False
        self._held[part] = Hold(position[:2], lowest)
        message = f"the database is at offset {position.next_offset}, but the partition ends at {high}"
        hint = (
            "the cluster may have been restored from a snapshot: obsctl consumer reset"
            f" --topic {part.topic} --partition {part.partition} --to earliest"
            " rereads everything that the broker has; lines that are already stored are not stored twice"
        )
        if self._telemetry.trouble(str(part), message, hint):
            log.error(
                "a partition is not read: its position is beyond the partition's end",
                extra={"partition": str(part), "error": message, "hint": hint, "first": low, "end": high},
            )
        return True

    def _from_held(self, part: TopicPartition, position: Position) -> int:
        """Return where a partition that may have been held resumes.

        Either a new leader has now the records that its predecessor had acknowledged, or the broker has lost records
        and written others at their offsets. Reading again from the lowest end that was seen is right in both cases.
        """
        held = self._held.pop(part, None)
        if held is None or held.position != position[:2]:
            return position.next_offset
        self._notice(
            f"{part} held",
            f"the partition ended at offset {held.lowest}, before the database's position {position.next_offset}, and"
            f" has since grown past it: it is read again from {held.lowest}",
            "no action needed: each line is stored once. The cluster was restored, or a new leader was elected",
        )
        return held.lowest

    def _explain(self, part: TopicPartition, source: Source, position: Position) -> bool:
        """Report an unusual position; return whether records missing before the broker's first one are a loss."""
        if position.origin is Origin.REMADE:
            return False
        if position.origin is Origin.OTHER_CLUSTER:
            self._notice(
                part.topic,
                f"the database knows this topic only from another cluster, not from {source.cluster_id}: it is read "
                "from its beginning",
                "no action needed if the cluster was rebuilt; otherwise the consumer reads the wrong cluster: correct"
                " kafka.bootstrap in /etc/obsctl/consumer.yml",
                since=position.known_at,
            )
        committed = self._committed.get(part, 0)
        if committed > position.next_offset:
            self._notice(
                f"{part} database",
                f"the database is at offset {position.next_offset}, but {committed} was committed to the group before:"
                " the database was restored or rebuilt, or the position was moved back;"
                f" {committed - position.next_offset} offsets are read again",
                "no action needed: each line is stored once. Records that Kafka no longer has are counted as missing",
            )
        return bool(position.next_offset or committed)

    def _lose(self, part: TopicPartition, expected: int, came: int) -> None:
        self._telemetry.missing(came - expected)
        self._telemetry.notice(
            f"{part} missing",
            f"offsets {expected} to {came - 1} are missing: the broker deleted them before they were read",
            "their lines are lost, unless the hosts' log files still contain them; probably the consumer or the"
            " database was down for longer than the topic's retention",
        )
        log.error(
            "offsets are missing: the broker deleted them before they were read",
            extra={"partition": str(part), "from_offset": expected, "to_offset": came - 1},
        )

    def _notice(self, subject: str, message: str, hint: str, *, since: float | None = None) -> None:
        if self._telemetry.notice(subject, message, hint, since=since):
            log.warning(message, extra={"subject": subject, "hint": hint})
