"""Watches the flow: the lag, partitions that wait or make no progress, and a slow store."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException

from obsctl.consumer.stream.ends import Ends
from obsctl.consumer.stream.progress import Progress, names
from obsctl.consumer.telemetry import Telemetry
from obsctl.consumer.writer import Writer
from obsctl.kafka.partition import TopicPartition

log = logging.getLogger(__name__)

_INTERVAL_S = 2.0
_STUCK_S = 15.0
#: How often a partition is positioned again at the same offset before the client is replaced.
_POSITIONED_AGAIN = 3
_SLOW_STORE_S = 10.0


class Watch:
    """Looks at one client's partitions every two seconds."""

    def __init__(self, progress: Progress, writer: Writer, ends: Ends, telemetry: Telemetry) -> None:
        self._progress = progress
        self._writer = writer
        self._ends = ends
        self._telemetry = telemetry
        self._looked_at = 0.0
        #: The offsets at which partitions were stuck, and how often each was positioned again there.
        self._positioned_again: dict[TopicPartition, tuple[int, int]] = {}

    def look(self, consumer: confluent_kafka.Consumer) -> bool:
        """Check the partitions, if it is time to; return whether it was.

        Raises:
            KafkaException: the client does not read a partition, however often its position is looked up.
        """
        now = time.monotonic()
        if now - self._looked_at < _INTERVAL_S:
            return False
        self._looked_at = now
        progress = self._progress
        self._note_waiting(now)
        self._note_slow_store()
        ends = self._ends.of(progress.next)
        self._leave_remade(consumer)
        if exist := progress.absent.intersection(self._ends.existing):
            log.info("partitions exist again", extra={"partitions": names(exist)})
            progress.take_back(exist)
        behind = {part: max(ends[part] - offset, 0) for part, offset in progress.next.items() if part in ends}
        self._free_stuck(consumer, behind, now)
        return True

    def _leave_remade(self, consumer: confluent_kafka.Consumer) -> None:
        """Position a partition again if its topic was created again."""
        ids = self._ends.topic_ids
        sources = self._progress.sources
        gone = [part for part, source in sources.items() if ids.get(part.topic, source.topic_id) != source.topic_id]
        if gone:
            log.warning(
                "a topic was deleted and created again: its position is looked up again",
                extra={"partitions": names(gone)},
            )
            self._progress.await_positions(consumer, gone)

    def _note_waiting(self, now: float) -> None:
        """Report partitions that get no position: they are not read, but look like ones that have nothing to read."""
        late = [part for part, since in self._progress.waiting.items() if now - since > _STUCK_S]
        for part in late:
            subject = str(part)
            if subject not in self._telemetry.troubles:
                message = "no start offset is known for this partition yet, so it is not read"
                hint = "check that the partition has a leader and that the database answers: obsctl health"
                self._telemetry.trouble(subject, message, hint)
                log.warning("a partition is waiting for its position", extra={"partition": subject, "hint": hint})

    def _note_slow_store(self) -> None:
        """Report a slow store: with a database that hangs, nothing fails for a long time."""
        if self._writer.busy_seconds() > _SLOW_STORE_S:
            hint = (
                "check whether the server or its disk is frozen, as root on the database's host: mysql -e "
                "'SHOW FULL PROCESSLIST'"
            )
            message = f"the database has not answered a statement for more than {_SLOW_STORE_S:.0f} s"
            if self._telemetry.trouble("database", message, hint):
                log.warning("the database is slow", extra={"seconds": round(self._writer.busy_seconds()), "hint": hint})

    def _free_stuck(self, consumer: confluent_kafka.Consumer, lag: Mapping[TopicPartition, int], now: float) -> None:
        """Position a partition again if it has lines to read and does not advance, whatever the client's state."""
        progress = self._progress
        held_up = progress.paused or not self._writer.has_room(0)  # paused by ourselves
        stuck = []
        for part, behind in lag.items():
            offset, since = progress.last_seen.get(part, (-1, now))
            if held_up or not behind or offset != progress.next[part]:
                progress.last_seen[part] = (progress.next[part], now)
            elif now - since > _STUCK_S:
                stuck.append(part)
        if stuck:
            log.warning(
                "partitions have records but make no progress: their positions are looked up again",
                extra={"partitions": names(stuck), "seconds": _STUCK_S},
            )
            self._give_up_where_nothing_helps(stuck)
            progress.await_positions(consumer, stuck)

    def _give_up_where_nothing_helps(self, stuck: list[TopicPartition]) -> None:
        for part in stuck:
            offset, times = self._positioned_again.get(part, (-1, 0))
            now_at = self._progress.next[part]
            times = times + 1 if offset == now_at else 1
            if times > _POSITIONED_AGAIN:
                reason = f"{part} was positioned {_POSITIONED_AGAIN} times at offset {now_at} and is still not read"
                raise KafkaException(KafkaError(KafkaError._FAIL, reason))
            self._positioned_again[part] = (now_at, times)
