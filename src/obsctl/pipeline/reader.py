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
from obsctl.pipeline.batch import Assembler, Source, TopicPartition
from obsctl.pipeline.config import Config
from obsctl.pipeline.housekeeping import Housekeeping
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
_LOOK_SECONDS = 1.0
_COMMIT_INTERVAL_SECONDS = 1.0
_LAG_INTERVAL_SECONDS = 2.0
_STUCK_SECONDS = 15.0
#: Beyond the longest pause between two polls, which is a hand-over that waits for the lines in flight.
_POLL_MARGIN_SECONDS = 20.0
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
        housekeeping: Housekeeping,
        telemetry: Telemetry,
    ) -> None:
        self._config = config
        self._assembler = assembler
        self._writer = writer
        self._housekeeping = housekeeping
        self._telemetry = telemetry
        self._stop = threading.Event()
        self._drain_until = 0.0
        self._forget_all()

    def _forget_all(self) -> None:
        #: Our partitions that have a position: the next offset to give to the writer.
        self._next: dict[TopicPartition, int] = {}
        self._sources: dict[TopicPartition, Source] = {}
        #: Our partitions that have none yet.
        self._waiting: set[TopicPartition] = set()
        self._asked: set[TopicPartition] = set()
        self._ask_again_at = 0.0
        self._ask_backoff = Backoff(0.2, 5.0)
        self._gaps: dict[TopicPartition, _Gap] = {}
        #: When a partition was seen first at its present offset.
        self._last_seen: dict[TopicPartition, tuple[int, float]] = {}
        self._paused = False
        self._to_commit: dict[TopicPartition, int] = {}
        self._committed_at = 0.0
        self._lag_at = 0.0

    def run(self, stop: threading.Event) -> None:
        """Read until ``stop`` is set, then hand over what is in flight within the drain time."""
        self._stop = stop
        while not stop.is_set():
            self._forget_all()
            consumer = confluent_kafka.Consumer(self._settings(), logger=logging.getLogger("kafka"))
            try:
                self._stream(consumer)
            except KafkaException as error:
                self._telemetry.trouble("kafka", str(error))
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
            "heartbeat.interval.ms": max(kafka.session_timeout_ms // 4, 100),
            # Also how long the client waits for an answer to its request to join: a coordinator that crashed while
            # it waited for the others never gives one, and with the default of five minutes nothing is read meanwhile.
            "max.poll.interval.ms": max(
                kafka.session_timeout_ms, round((self._config.drain_seconds + _POLL_MARGIN_SECONDS) * 1000)
            ),
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
        self._waiting |= {TopicPartition(p.topic, p.partition) for p in parts}
        self._ask_again_at = 0.0
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
            self._waiting.discard(part)
            self._to_commit.pop(part, None)
            self._telemetry.lag.pop(part, None)
            self._telemetry.clear(f"{part.topic}/{part.partition}")

    def _forget(self, part: TopicPartition) -> None:
        """Forget where a partition goes on."""
        self._next.pop(part, None)
        self._sources.pop(part, None)
        self._gaps.pop(part, None)
        self._last_seen.pop(part, None)

    # -- positions ---------------------------------------------------------------------------------------------

    def _ask_for_positions(self, consumer: confluent_kafka.Consumer) -> None:
        wanted = self._waiting - self._asked
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
            self._gaps[part] = _Gap(position.next_offset, start)
            if position.next_offset:
                self._lose(part, position.next_offset, start)
        self._next[part] = position.next_offset
        self._sources[part] = Source(position.source_id, cluster_id)
        self._waiting.discard(part)
        self._telemetry.clear(subject)
        self._ask_backoff.reset()
        if not self._paused:
            consumer.resume([place])

    def _lose(self, part: TopicPartition, expected: int, came: int) -> None:
        self._telemetry.missing_offsets += came - expected
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
            got = self._poll(consumer, min(limits.lines - len(messages), _CALL_LINES), left)
            size += sum(map(len, got))
            messages += got
        return messages

    def _poll(self, consumer: confluent_kafka.Consumer, count: int, timeout: float) -> list[Message]:
        messages: list[Message] = consumer.consume(count, timeout)
        errors = [m for m in messages if m.error() is not None]
        if not errors:
            if messages:
                self._kafka_back()
            return messages
        for message in errors:
            self._note_error(consumer, message)
        return [m for m in messages if m.error() is None]

    def _note_error(self, consumer: confluent_kafka.Consumer, message: Message) -> None:
        error = message.error()
        if error.fatal():
            raise KafkaException(error)
        if error.code() in {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE}:
            # What we wanted to read is gone from the broker: look at its bounds again.
            part = TopicPartition(message.topic(), message.partition())
            if part in self._next:
                self._let_wait(consumer, [part])
            return
        self._kafka_away(error.str())

    def _give(self, consumer: confluent_kafka.Consumer, messages: list[Message]) -> None:
        accepted = self._accept(consumer, messages)
        if not accepted:
            return
        batch = self._assembler.assemble(accepted, self._sources, self._next)
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
                        self._to_commit[part] = result.batch.steps[source_id].next
                if result.outcome.refused:
                    self._housekeeping.letters_due()
            elif isinstance(result, Fenced):
                self._step_back(consumer, result)

    def _position(self, consumer: confluent_kafka.Consumer, result: Positioned) -> None:
        try:
            for part in self._waiting & result.positions.keys():
                self._start_at(consumer, result.cluster_id, part, result.positions[part])
        except KafkaException as error:
            # Usually an assignment that is not complete yet. The rest is asked for again as well.
            log.debug("a partition is not ready yet", extra={"error": str(error)})
            self._ask_again_at = time.monotonic() + self._ask_backoff.delay()

    def _step_back(self, consumer: confluent_kafka.Consumer, fenced: Fenced) -> None:
        """Somebody else moved the positions, or we did and did not hear of it: drop the batch and ask anew."""
        self._telemetry.fenced += 1
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
        if "kafka" in self._telemetry.troubles:
            self._look_for_brokers(consumer)
        lag = {}
        for part, offset in self._next.items():
            _, high = consumer.get_watermark_offsets(confluent_kafka.TopicPartition(*part), cached=True)
            lag[part] = max(high - offset, 0)
        self._telemetry.lag = lag
        self._free_stuck(consumer, lag, now)

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
            self._waiting.add(part)

    def _on_client_error(self, error: KafkaError) -> None:
        # One broker of several is no trouble of ours; the others lead its partitions.
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._kafka_away(error.str())
        else:
            log.info("the Kafka client says", extra={"error": error.str()})

    def _look_for_brokers(self, consumer: confluent_kafka.Consumer) -> None:
        """On a quiet topic no message tells that the brokers are back."""
        try:
            consumer.list_topics(timeout=_LOOK_SECONDS)
        except KafkaException:
            return
        self._kafka_back()

    def _kafka_back(self) -> None:
        if self._telemetry.clear("kafka"):
            log.info("the brokers answer again")

    def _kafka_away(self, message: str) -> None:
        if self._telemetry.trouble("kafka", message, "are the brokers up, and may this host reach their port?"):
            log.warning("waiting for Kafka", extra={"error": message})


def _names(parts: list[confluent_kafka.TopicPartition] | list[TopicPartition]) -> list[str]:
    return sorted(f"{p.topic}/{p.partition}" for p in parts)
