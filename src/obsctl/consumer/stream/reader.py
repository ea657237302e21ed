"""Reads the topics as a member of the group, and hands batches to the writer.

The group only says *which* partitions to read (``membership``); the store says *where* each one resumes
(``positioning``). The client is given a partition when the store has answered, with its offset. While the writer's
queue is full, the reader keeps polling with all partitions paused, so that a database outage does not disturb the
group.
"""

from __future__ import annotations

import logging
import threading
import time

import confluent_kafka
from confluent_kafka import KafkaException, Message

from obsctl.consumer.assembler import Assembler
from obsctl.consumer.config import Config
from obsctl.consumer.stream.ends import Ends
from obsctl.consumer.stream.intake import Intake
from obsctl.consumer.stream.membership import Membership
from obsctl.consumer.stream.positioning import Hold, Positioning
from obsctl.consumer.stream.progress import Progress, names
from obsctl.consumer.stream.watch import Watch
from obsctl.consumer.telemetry import Telemetry
from obsctl.consumer.writer import Fenced, Positioned, Stored, Writer
from obsctl.kafka.partition import TopicPartition

log = logging.getLogger(__name__)

#: How long the reader waits for the writer before it pauses; a pause discards prefetched records.
_PATIENCE_S = 1.0
#: How long after a fatal error a new client is created.
_RESTART_S = 5.0


class Reader:
    """Runs the stream, with one client after another, until it is stopped."""

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
        self._held: dict[TopicPartition, Hold] = {}

    def run(self, stop: threading.Event) -> None:
        """Read until ``stop`` is set, then wait for the lines in flight, up to the drain time."""
        while not stop.is_set():
            self._begin(stop)
            consumer = confluent_kafka.Consumer(self._membership.settings(), logger=logging.getLogger("kafka"))
            try:
                self._stream(consumer, stop)
            except KafkaException as error:
                self._telemetry.trouble(
                    "client",
                    f"the Kafka client has failed permanently: {error.args[0].str()}",
                    f"a new client is started within {_RESTART_S:.0f} s; journalctl -u obsctl-consumer -n 50 has more",
                )
                log.exception("the Kafka client has failed permanently; a new one is started")
                stop.wait(_RESTART_S)
            finally:
                self._membership.drain(consumer)
                consumer.close()

    def _begin(self, stop: threading.Event) -> None:
        """Reset to no partitions, for a new client."""
        self._progress = Progress()
        self._intake = Intake(self._config.batch, self._progress)
        self._positioning = Positioning(self._progress, self._writer, self._ends, self._telemetry, held=self._held)
        self._watch = Watch(self._progress, self._writer, self._ends, self._telemetry)
        self._membership = Membership(
            self._config, self._progress, self._writer, self._telemetry, take_results=self._take_results, stop=stop
        )

    def _stream(self, consumer: confluent_kafka.Consumer, stop: threading.Event) -> None:
        progress = self._progress
        self._membership.join(consumer)
        while not stop.is_set():
            if self._membership.fatal is not None:
                raise KafkaException(self._membership.fatal)
            self._take_results(consumer)
            self._telemetry.positions = progress.positions()
            self._positioning.ask(consumer)
            self._membership.commit(consumer, wait=False)
            if self._watch.look(consumer):
                self._membership.report_if_unassigned()
            if not self._writer.has_room(0 if progress.paused else _PATIENCE_S):
                progress.pause_all(consumer)
                messages = self._intake.poll_paused(consumer)
            else:
                progress.resume_all(consumer)
                messages = self._intake.collect(consumer)
            self._give(consumer, messages)

    def _give(self, consumer: confluent_kafka.Consumer, messages: list[Message]) -> None:
        runs = self._intake.accept(consumer, messages)
        if not runs:
            return
        progress = self._progress
        started = time.monotonic()
        batch = self._assembler.assemble(runs, progress.sources, progress.next)
        self._telemetry.assembled(batch.records, batch.native, time.monotonic() - started)
        progress.next.update(batch.ends)
        self._writer.give(batch)

    def _take_results(self, consumer: confluent_kafka.Consumer) -> None:
        progress = self._progress
        for result in self._writer.results():
            if isinstance(result, Positioned):
                self._positioning.take(consumer, result)
            elif isinstance(result, Stored):
                for part, offset in result.ends.items():
                    if part in progress.next:
                        progress.stored[part] = progress.to_commit[part] = offset
            elif isinstance(result, Fenced):
                self._step_back(consumer, result)

    def _step_back(self, consumer: confluent_kafka.Consumer, fenced: Fenced) -> None:
        """Drop a batch and query its positions again: another process moved them, or we did and got no answer."""
        self._telemetry.fenced()
        parts = [part for part in fenced.parts if part in self._progress.next]
        log.warning(
            "a batch was fenced (not stored): its positions were moved in the meantime",
            extra={"partitions": names(parts)},
        )
        self._progress.await_positions(consumer, parts)
