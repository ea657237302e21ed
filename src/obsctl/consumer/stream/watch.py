"""Watches the flow: the lag, partitions that wait or do not move, and a store that is slow."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

import confluent_kafka

from obsctl.consumer.stream.ends import Ends
from obsctl.consumer.stream.progress import Progress, names
from obsctl.consumer.telemetry import Telemetry
from obsctl.consumer.writer import Writer
from obsctl.kafka.partition import TopicPartition

log = logging.getLogger(__name__)

_INTERVAL_SECONDS = 2.0
_STUCK_SECONDS = 15.0
_SLOW_STORE_SECONDS = 10.0


class Watch:
    """Looks at one client's partitions every two seconds."""

    def __init__(self, progress: Progress, writer: Writer, ends: Ends, telemetry: Telemetry) -> None:
        self._progress = progress
        self._writer = writer
        self._ends = ends
        self._telemetry = telemetry
        self._looked_at = 0.0

    def look(self, consumer: confluent_kafka.Consumer) -> bool:
        """Look, if it is time to; return whether it was."""
        now = time.monotonic()
        if now - self._looked_at < _INTERVAL_SECONDS:
            return False
        self._looked_at = now
        progress = self._progress
        self._note_waiting(now)
        self._note_slow_store()
        ends = self._ends.of(progress.next)
        self._leave_remade(consumer)
        behind = {part: max(ends[part] - offset, 0) for part, offset in progress.next.items() if part in ends}
        self._free_stuck(consumer, behind, now)
        return True

    def _leave_remade(self, consumer: confluent_kafka.Consumer) -> None:
        """Position a partition anew whose topic is no longer the one that it belongs to."""
        ids = self._ends.topic_ids
        sources = self._progress.sources
        gone = [part for part, source in sources.items() if ids.get(part.topic, source.topic_id) != source.topic_id]
        if gone:
            log.warning("a topic was deleted and made again; it is positioned anew", extra={"partitions": names(gone)})
            self._progress.let_wait(consumer, gone)

    def _note_waiting(self, now: float) -> None:
        """A partition that gets no position is not read, and looks as well as one that has nothing to read."""
        late = [part for part, since in self._progress.waiting.items() if now - since > _STUCK_SECONDS]
        for part in late:
            subject = f"{part.topic}/{part.partition}"
            if subject not in self._telemetry.troubles:
                hint = "does the partition have a leader, and does the database answer? obsctl health"
                self._telemetry.trouble(subject, "nobody has told yet where this partition goes on", hint)
                log.warning("a partition waits for its position", extra={"partition": subject, "hint": hint})

    def _note_slow_store(self) -> None:
        """A database that hangs fails nothing for a long while."""
        if self._writer.busy_seconds() > _SLOW_STORE_SECONDS:
            hint = "on its host: is the server frozen, or its disk? SHOW FULL PROCESSLIST"
            if self._telemetry.trouble("database", "it has not answered for a while", hint):
                log.warning("the database is slow", extra={"seconds": round(self._writer.busy_seconds()), "hint": hint})

    def _free_stuck(self, consumer: confluent_kafka.Consumer, lag: Mapping[TopicPartition, int], now: float) -> None:
        """Position a partition anew that has lines to read and yet does not move: whatever the client thinks."""
        progress = self._progress
        held_up = progress.paused or not self._writer.has_room(0)  # by ourselves
        stuck = []
        for part, behind in lag.items():
            offset, since = progress.last_seen.get(part, (-1, now))
            if held_up or not behind or offset != progress.next[part]:
                progress.last_seen[part] = (progress.next[part], now)
            elif now - since > _STUCK_SECONDS:
                stuck.append(part)
        if stuck:
            log.warning("partitions do not move; they are positioned anew", extra={"partitions": names(stuck)})
            progress.let_wait(consumer, stuck)
