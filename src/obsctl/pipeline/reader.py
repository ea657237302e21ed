"""Reads the topics as a member of the group, and hands batches to the writer.

The group only says *which* partitions are ours; *where* each goes on, the store says. A partition that was just
assigned stays paused until the store has answered. While the writer has no room the reader keeps polling with all
partitions paused, so that an absent database costs the group nothing.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any, NamedTuple

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException, Message

from obsctl.pipeline.backoff import Backoff
from obsctl.pipeline.batch import Assembler, Source, Step, TopicPartition, skip
from obsctl.pipeline.config import Config
from obsctl.pipeline.ends import Ends
from obsctl.pipeline.store import Position
from obsctl.pipeline.telemetry import Telemetry
from obsctl.pipeline.writer import Fenced, Positioned, Stored, Writer

log = logging.getLogger(__name__)

#: Fetched ahead (bytes): smaller ones starve the fetch, larger ones only take memory.
_PREFETCH_KIB = 32 * 1024
#: A batch ends at this many bytes of records, whatever its lines: a bound for memory, not a tuning.
_BATCH_BYTES = 8 * 2**20
_CALL_LINES = 500
#: How long the reader stands still for the writer before it pauses; a pause throws away what was fetched ahead.
_PATIENCE_SECONDS = 1.0
_POLL_SECONDS = 0.2
_METADATA_SECONDS = 5.0
_COMMIT_INTERVAL_SECONDS = 1.0
_LAG_INTERVAL_SECONDS = 2.0
_STUCK_SECONDS = 15.0
_SLOW_STORE_SECONDS = 10.0
#: The reader never stands still for longer than this and a drain, whatever is away.
_STILL_SECONDS = 20.0
#: So many session time-outs without a place in the group are no longer a rebalance.
_PLACELESS_SESSIONS = 2
#: Errors that end a consumer for good; a new one is made after this while.
_RESTART_SECONDS = 5.0


class _Gap(NamedTuple):
    """Offsets that did not arrive: the one expected and the one that came."""

    expected: int
    came: int


class Reader:
    """Runs the stream until it is told to stop."""

    def __init__(
        self,
        config: Config,
        assembler: Assembler,
        writer: Writer,
        *,
        ends: Ends,
        telemetry: Telemetry,
    ) -> None:
        self._config = config
        self._assembler = assembler
        self._writer = writer
        self._ends = ends
        self._telemetry = telemetry
        self._stop = threading.Event()
        self._drain_until = 0.0
        #: Of the records read last, on average; the first ones are expected to be large.
        self._record_bytes = _BATCH_BYTES / 20
        self._forget_all()

    def _forget_all(self) -> None:
        #: Our partitions that have a position: the next offset to give to the writer.
        self._next: dict[TopicPartition, int] = {}
        self._sources: dict[TopicPartition, Source] = {}
        #: The next offset that is not stored, as far as we know.
        self._stored: dict[TopicPartition, int] = {}
        #: Our partitions that have no position yet, and since when.
        self._waiting: dict[TopicPartition, float] = {}
        self._asked: set[TopicPartition] = set()
        self._ask_again_at = 0.0
        self._ask_backoff = Backoff(0.2, 5.0)
        self._gaps: dict[TopicPartition, _Gap] = {}
        #: When a partition was seen first at its present offset.
        self._last_seen: dict[TopicPartition, tuple[int, float]] = {}
        self._paused = False
        #: What ended the client for good.
        self._fatal: KafkaError | None = None
        #: Since when the group has given us no place, None while we have one (which may be without partitions).
        self._placeless_since: float | None = time.monotonic()
        self._to_commit: dict[TopicPartition, int] = {}
        self._committed_at = 0.0
        self._lag_at = 0.0
        self._telemetry.positions.clear()

    def run(self, stop: threading.Event) -> None:
        """Read until ``stop`` is set, then hand over what is in flight within the drain time."""
        self._stop = stop
        while not stop.is_set():
            self._forget_all()
            consumer = confluent_kafka.Consumer(self._settings(), logger=logging.getLogger("kafka"))
            try:
                self._stream(consumer)
            except KafkaException as error:
                self._telemetry.trouble("client", str(error), "a new client follows by itself; see the journal")
                log.exception("the Kafka client gave up; a new one follows")
                stop.wait(_RESTART_SECONDS)
            finally:
                self._drain(consumer)
                consumer.close()

    def _settings(self) -> dict[str, object]:
        kafka = self._config.kafka
        settings: dict[str, object] = {
            "bootstrap.servers": ",".join(kafka.bootstrap),
            "group.id": kafka.group,
            "client.id": kafka.group,
            "session.timeout.ms": kafka.session_timeout_ms,
            # Also how long the client waits for the answer to a join. If the coordinator's host dies in between, no
            # packet will ever tell: with the default of five minutes nothing is read for so long.
            "max.poll.interval.ms": max(
                kafka.session_timeout_ms, int((_STILL_SECONDS + self._config.drain_seconds) * 1000)
            ),
            "heartbeat.interval.ms": max(kafka.session_timeout_ms // 4, 100),
            "partition.assignment.strategy": "cooperative-sticky",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",  # where to go on is never the client's guess
            "allow.auto.create.topics": False,
            "queued.max.messages.kbytes": _PREFETCH_KIB,
            # Compressed bytes, and log lines shrink tenfold: what one answer unpacks to must stay small as well.
            "fetch.message.max.bytes": 2**20,
            "fetch.max.bytes": 8 * 2**20,
            "fetch.wait.max.ms": 100,
            "reconnect.backoff.max.ms": 3000,
            "topic.metadata.refresh.interval.ms": 30_000,
            "socket.keepalive.enable": True,
            "error_cb": self._on_client_error,
        }
        if kafka.instance:
            settings["group.instance.id"] = kafka.instance
        return settings

    def _stream(self, consumer: confluent_kafka.Consumer) -> None:
        topics = self._config.kafka.topics
        consumer.subscribe(
            [topics.access, topics.error],
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_lost,
        )
        while not self._stop.is_set():
            if self._fatal is not None:
                raise KafkaException(self._fatal)
            self._take_results(consumer)
            self._ask_for_positions(consumer)
            self._commit(consumer, wait=False)
            self._note_lag(consumer)
            if not self._writer.has_room(0 if self._paused else _PATIENCE_SECONDS):
                self._pause_all(consumer)
                messages = self._poll(consumer, _CALL_LINES, _POLL_SECONDS)
            else:
                self._resume_all(consumer)
                messages = self._collect(consumer)
            self._give(consumer, messages)

    # -- the group ---------------------------------------------------------------------------------------------

    def _on_assign(self, consumer: confluent_kafka.Consumer, parts: list[confluent_kafka.TopicPartition]) -> None:
        # Paused before anything is fetched; the seek follows. The offset is a number, because a logical one (begin,
        # end) is looked up in the background, and its answer may come after the seek and undo it.
        somewhere = [confluent_kafka.TopicPartition(p.topic, p.partition, 0) for p in parts]
        consumer.incremental_assign(somewhere)
        consumer.pause(somewhere)
        ours = [TopicPartition(p.topic, p.partition) for p in parts]
        self._waiting |= dict.fromkeys(ours, time.monotonic())
        self._telemetry.positions |= dict.fromkeys(ours)
        self._ask_again_at = 0.0
        self._placeless_since = None
        self._telemetry.clear("client")
        if self._telemetry.clear("group"):
            log.info("the group has given us a place")
        if parts:
            log.info("partitions assigned", extra={"partitions": _names(parts)})

    def _on_revoke(self, consumer: confluent_kafka.Consumer, parts: list[confluent_kafka.TopicPartition]) -> None:
        # Let the lines in flight be stored, so that the next owner does not read them again. If it does, nothing
        # happens to them: the fence and the identity hold.
        self._drain(consumer)
        self._let_go(parts)
        consumer.incremental_unassign(parts)
        if parts:
            log.info("partitions handed over", extra={"partitions": _names(parts)})

    def _on_lost(self, consumer: confluent_kafka.Consumer, parts: list[confluent_kafka.TopicPartition]) -> None:
        self._let_go(parts)
        consumer.incremental_unassign(parts)
        self._placeless_since = time.monotonic()
        log.warning("partitions lost: this member was silent for too long", extra={"partitions": _names(parts)})

    def _drain(self, consumer: confluent_kafka.Consumer) -> None:
        """Wait for the lines in flight; a stop has one such wait in all, however many hand-overs it takes."""
        seconds = self._config.drain_seconds
        if self._stop.is_set():
            self._drain_until = self._drain_until or time.monotonic() + seconds
            seconds = max(self._drain_until - time.monotonic(), 0)
        self._writer.drain(seconds)
        self._take_results(consumer)
        self._commit(consumer, wait=True)

    def _let_go(self, parts: list[confluent_kafka.TopicPartition]) -> None:
        for p in parts:
            part = TopicPartition(p.topic, p.partition)
            self._forget(part)
            self._waiting.pop(part, None)
            self._stored.pop(part, None)
            self._to_commit.pop(part, None)
            self._telemetry.positions.pop(part, None)
            self._telemetry.clear(f"{part.topic}/{part.partition}")

    def _forget(self, part: TopicPartition) -> None:
        """Forget where a partition goes on."""
        self._next.pop(part, None)
        self._sources.pop(part, None)
        self._gaps.pop(part, None)
        self._last_seen.pop(part, None)

    # -- positions ---------------------------------------------------------------------------------------------

    def _ask_for_positions(self, consumer: confluent_kafka.Consumer) -> None:
        wanted = self._waiting.keys() - self._asked
        if not wanted or time.monotonic() < self._ask_again_at:
            return
        try:
            cluster_id = consumer.list_topics(next(iter(wanted)).topic, timeout=_METADATA_SECONDS).cluster_id
        except KafkaException as error:
            self._kafka_away(str(error))
            self._ask_again_at = time.monotonic() + self._ask_backoff.delay()
            return
        self._writer.ask(cluster_id, wanted)
        self._asked |= wanted

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
            self._ask_again_at = time.monotonic() + self._ask_backoff.delay()
            return
        start = max(position.next_offset, low)
        consumer.seek(confluent_kafka.TopicPartition(part.topic, part.partition, start))
        if start > position.next_offset:
            if position.next_offset:
                self._lose(part, position.next_offset, start)
            # Stored at once: where nothing is left to read, no line would ever carry the position over the gap.
            self._writer.give(skip(position.source_id, part, Step(position.next_offset, start)))
        self._next[part] = start
        self._stored[part] = self._telemetry.positions[part] = position.next_offset
        self._sources[part] = Source(position.source_id, cluster_id)
        del self._waiting[part]
        self._telemetry.clear(subject)
        self._ask_backoff.reset()
        if not self._paused:
            consumer.resume([place])

    def _lose(self, part: TopicPartition, expected: int, came: int) -> None:
        self._telemetry.missing(came - expected)
        log.error(
            "offsets are missing: the broker deleted them before they were read",
            extra={"partition": f"{part.topic}/{part.partition}", "from_offset": expected, "to_offset": came - 1},
        )

    # -- reading -----------------------------------------------------------------------------------------------

    def _collect(self, consumer: confluent_kafka.Consumer) -> list[Message]:
        """Read for the batch's time, or until it is full."""
        limits = self._config.batch
        deadline = time.monotonic() + limits.interval_ms / 1000
        messages: list[Message] = []
        size = 0
        while len(messages) < limits.lines and size < _BATCH_BYTES:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            # As many as the last ones let expect to fit: a call returns all that it was asked for.
            room = int((_BATCH_BYTES - size) / self._record_bytes) + 1
            got = self._poll(consumer, min(limits.lines - len(messages), _CALL_LINES, room), left)
            if got:
                more = sum(map(len, got))
                self._record_bytes = max(more / len(got), 1.0)
                size += more
            messages += got
        return messages

    def _poll(self, consumer: confluent_kafka.Consumer, count: int, timeout: float) -> list[Message]:
        messages: list[Message] = consumer.consume(count, timeout)
        errors = [m for m in messages if m.error() is not None]
        if not errors:
            return messages
        for message in errors:
            self._note_error(message.error())
        return [m for m in messages if m.error() is None]

    def _note_error(self, error: KafkaError) -> None:
        # What the client wanted to read is gone from the broker, because the retention overtook it. It has stopped
        # reading the partition then and refuses every seek, so a new client looks at the partition's bounds again.
        gone = error.code() in {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE}
        if gone or _is_fatal(error):
            raise KafkaException(error)
        # Whether it lasts, and what it means, the questions for the ends will tell.
        log.info("the Kafka client says", extra={"error": error.str()})

    def _give(self, consumer: confluent_kafka.Consumer, messages: list[Message]) -> None:
        accepted = self._accept(consumer, messages)
        if not accepted:
            return
        started = time.monotonic()
        batch = self._assembler.assemble(accepted, self._sources, self._next)
        self._telemetry.assembled(batch.records, time.monotonic() - started)
        for source_id, part in batch.partitions.items():
            self._next[part] = batch.steps[source_id].next
        self._writer.give(batch)

    def _accept(self, consumer: confluent_kafka.Consumer, messages: list[Message]) -> list[Message]:
        """Return the messages that follow without a gap on what was given before; drop the others.

        What is dropped: partitions that are no longer ours, and what was fetched before a seek. A gap is believed
        only when it is seen a second time, after a seek back to where it began.
        """
        expected: dict[Any, int] = dict(self._next)  # looked up by plain tuples, which are equal
        accepted = []
        for message in messages:
            place = (message.topic(), message.partition())
            next_offset = expected.get(place)
            if next_offset is None:
                continue
            offset = message.offset()
            if offset != next_offset:
                if offset < next_offset:
                    continue
                if not self._believe(consumer, TopicPartition(*place), _Gap(next_offset, offset)):
                    del expected[place]
                    continue
            expected[place] = offset + 1
            accepted.append(message)
        return accepted

    def _believe(self, consumer: confluent_kafka.Consumer, part: TopicPartition, gap: _Gap) -> bool:
        if self._gaps.get(part) == gap:
            # The markers of a producer's transactions take offsets as well, so this is no proof of a loss.
            log.warning("offsets skipped", extra={"partition": f"{part.topic}/{part.partition}", **gap._asdict()})
            return True
        self._gaps[part] = gap
        try:
            consumer.seek(confluent_kafka.TopicPartition(part.topic, part.partition, gap.expected))
        except KafkaException:
            self._let_wait(consumer, [part])
        return False

    # -- flow --------------------------------------------------------------------------------------------------

    def _pause_all(self, consumer: confluent_kafka.Consumer) -> None:
        if not self._paused:
            consumer.pause(consumer.assignment())
            self._paused = True

    def _resume_all(self, consumer: confluent_kafka.Consumer) -> None:
        if self._paused:
            self._paused = False
            consumer.resume([confluent_kafka.TopicPartition(*part) for part in self._next])

    def _take_results(self, consumer: confluent_kafka.Consumer) -> None:
        for result in self._writer.results():
            if isinstance(result, Positioned):
                self._asked -= result.positions.keys()
                self._position(consumer, result)
            elif isinstance(result, Stored):
                for source_id, part in result.batch.partitions.items():
                    if part in self._next:
                        next_offset = result.batch.steps[source_id].next
                        self._stored[part] = self._to_commit[part] = next_offset
                        self._telemetry.positions[part] = next_offset
            elif isinstance(result, Fenced):
                self._step_back(consumer, result)

    def _position(self, consumer: confluent_kafka.Consumer, result: Positioned) -> None:
        for part in self._waiting.keys() & result.positions.keys():
            try:
                self._start_at(consumer, result.cluster_id, part, result.positions[part])
            except KafkaException as error:
                # Usually an assignment that is not complete yet; it is asked for again.
                log.debug("a partition is not ready yet", extra={"error": str(error)})
                self._ask_again_at = time.monotonic() + self._ask_backoff.delay()
                if error.args[0].code() == KafkaError._TIMED_OUT:
                    return  # the next one would wait as long, and the group waits for us

    def _step_back(self, consumer: confluent_kafka.Consumer, fenced: Fenced) -> None:
        """Somebody else moved the positions, or we did and did not hear of it: drop the batch and ask anew."""
        self._telemetry.fenced()
        parts = [part for part in fenced.batch.partitions.values() if part in self._next]
        log.warning("a batch was fenced: the positions have moved meanwhile", extra={"partitions": _names(parts)})
        self._let_wait(consumer, parts)

    def _commit(self, consumer: confluent_kafka.Consumer, *, wait: bool) -> None:
        """Commit to the group, which shows the lag to people. Nobody reads it to go on from there."""
        now = time.monotonic()
        if not self._to_commit or (not wait and now - self._committed_at < _COMMIT_INTERVAL_SECONDS):
            return
        offsets = [confluent_kafka.TopicPartition(*part, offset) for part, offset in self._to_commit.items()]
        self._to_commit.clear()
        self._committed_at = now
        try:
            consumer.commit(offsets=offsets, asynchronous=not wait)
        except KafkaException as error:
            log.debug("the group's offsets were not committed", extra={"error": str(error)})

    def _note_lag(self, consumer: confluent_kafka.Consumer) -> None:
        now = time.monotonic()
        if now - self._lag_at < _LAG_INTERVAL_SECONDS:
            return
        self._lag_at = now
        self._note_place(now)
        self._note_waiting(now)
        self._note_slow_store()
        ends = self._ends.of(self._next)
        behind = {part: max(ends[part] - offset, 0) for part, offset in self._next.items() if part in ends}
        self._free_stuck(consumer, behind, now)

    def _note_place(self, now: float) -> None:
        """Without a place in the group nothing is read, and no partition has a lag that would show it."""
        patience = _PLACELESS_SESSIONS * self._config.kafka.session_timeout_ms / 1000
        if self._placeless_since is None or now - self._placeless_since < patience:
            return
        message = f"the group {self._config.kafka.group} has given this member no place yet"
        hint = "does its coordinator answer? obsctl kafka status; the client asks again by itself within a minute"
        if self._telemetry.trouble("group", message, hint):
            log.warning("waiting for a place in the group", extra={"hint": hint})

    def _note_waiting(self, now: float) -> None:
        """A partition that gets no position is not read, and looks as well as one that has nothing to read."""
        late = [part for part, since in self._waiting.items() if now - since > _STUCK_SECONDS]
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

    def _free_stuck(self, consumer: confluent_kafka.Consumer, lag: dict[TopicPartition, int], now: float) -> None:
        """Position a partition anew that has lines to read and yet does not move: whatever the client thinks."""
        held_up = self._paused or not self._writer.has_room(0)  # by ourselves
        stuck = []
        for part, behind in lag.items():
            offset, since = self._last_seen.get(part, (-1, now))
            if held_up or not behind or offset != self._next[part]:
                self._last_seen[part] = (self._next[part], now)
            elif now - since > _STUCK_SECONDS:
                stuck.append(part)
        if stuck:
            log.warning("partitions do not move; they are positioned anew", extra={"partitions": _names(stuck)})
            self._let_wait(consumer, stuck)

    def _let_wait(self, consumer: confluent_kafka.Consumer, parts: list[TopicPartition]) -> None:
        """Take partitions back to the state of those just assigned: paused, until the store says where they go on."""
        consumer.pause([confluent_kafka.TopicPartition(*part) for part in parts])
        for part in parts:
            self._forget(part)
            self._waiting[part] = time.monotonic()

    def _on_client_error(self, error: KafkaError) -> None:
        if _is_fatal(error):
            self._fatal = error
            return
        # One broker of several is no trouble of ours; the others lead its partitions.
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._kafka_away(error.str())
        else:
            log.info("the Kafka client says", extra={"error": error.str()})

    def _kafka_away(self, message: str) -> None:
        if self._telemetry.trouble("kafka", message, "are the brokers up, and may this host reach their port?"):
            log.warning("waiting for Kafka", extra={"error": message})


def _is_fatal(error: KafkaError) -> bool:
    """Whether this client will never read again: a member of the same name came, or came and went with a coordinator.

    Told as a message's error or to the call-back, and not always with the flag.
    """
    return bool(error.fatal()) or error.code() == KafkaError._FATAL


def _names(parts: list[confluent_kafka.TopicPartition] | list[TopicPartition]) -> list[str]:
    return sorted(f"{p.topic}/{p.partition}" for p in parts)
