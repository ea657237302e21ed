"""Membership of the consumer group: the assigned partitions, changes of these, and commits."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException

from obsctl.consumer.config import Config
from obsctl.consumer.stream.ends import RIGHTS_HINT, note_kafka_away
from obsctl.consumer.stream.progress import Progress, names
from obsctl.consumer.telemetry import Telemetry
from obsctl.consumer.writer import Writer
from obsctl.kafka import clients
from obsctl.kafka.partition import TopicPartition

log = logging.getLogger(__name__)

#: How much is fetched ahead (bytes): less slows down reading, more only takes memory.
_PREFETCH_KIB = 32 * 1024
_COMMIT_INTERVAL_S = 1.0
#: The reader is never blocked for longer than this plus a drain, whatever does not answer.
_STILL_S = 20.0
#: A join that takes this many session timeouts is not a normal rebalance any more.
_JOIN_SESSIONS = 2


class Membership:
    """One client's membership of the group.

    Args:
        take_results: processes the writer's results so far; called when partitions are revoked.
        stop: set when the consumer must end; a stop waits only once for the lines in flight.
    """

    def __init__(
        self,
        config: Config,
        progress: Progress,
        writer: Writer,
        telemetry: Telemetry,
        *,
        take_results: Callable[[confluent_kafka.Consumer], None],
        stop: threading.Event,
    ) -> None:
        self._config = config
        self._progress = progress
        self._writer = writer
        self._telemetry = telemetry
        self._take_results = take_results
        self._stop = stop
        self._drain_until = 0.0
        self._committed_at = 0.0
        #: Since when we are not a member of the group; None while we are (with or without partitions).
        self._unassigned_since: float | None = time.monotonic()
        #: The fatal error of the client.
        self.fatal: KafkaError | None = None
        #: The latest error about a broker.
        self._heard = KafkaError(KafkaError.NO_ERROR)

    def settings(self) -> dict[str, object]:
        """Return the client's settings."""
        kafka = self._config.kafka
        settings = (
            clients.settings(kafka.brokers, kafka.group)
            | clients.READ_ON
            | {
                "group.id": kafka.group,
                "session.timeout.ms": kafka.session_timeout_ms,
                # It is also how long the client waits for the answer to a join. If the coordinator's host dies
                # meanwhile, no packet reports that, so with the default nothing would be read for five minutes.
                "max.poll.interval.ms": max(
                    kafka.session_timeout_ms, int((_STILL_S + self._config.drain_seconds) * 1000)
                ),
                "heartbeat.interval.ms": max(kafka.session_timeout_ms // 4, 100),
                "partition.assignment.strategy": "cooperative-sticky",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "error",  # the client must never guess where to resume
                "allow.auto.create.topics": False,
                "queued.max.messages.kbytes": _PREFETCH_KIB,
                # Compressed bytes: log lines shrink tenfold, and an uncompressed answer must stay small as well.
                "fetch.message.max.bytes": 2**20,
                "fetch.max.bytes": 8 * 2**20,
                "fetch.wait.max.ms": 100,
                "error_cb": self._on_client_error,
            }
        )
        if kafka.instance:
            settings["group.instance.id"] = kafka.instance
        return settings

    def join(self, consumer: confluent_kafka.Consumer) -> None:
        """Join the group."""
        topics = self._config.kafka.topics
        consumer.subscribe(
            [topics.access, topics.error],
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_lost,
        )

    def drain(self, consumer: confluent_kafka.Consumer) -> None:
        """Wait for the lines in flight; a stop waits only once, however many revocations it causes."""
        seconds = self._config.drain_seconds
        if self._stop.is_set():
            self._drain_until = self._drain_until or time.monotonic() + seconds
            seconds = max(self._drain_until - time.monotonic(), 0)
        self._writer.drain(seconds)
        self._take_results(consumer)
        self.commit(consumer, wait=True)

    def commit(self, consumer: confluent_kafka.Consumer, *, wait: bool) -> None:
        """Commit to the group, which only shows the lag to people and never decides where reading resumes."""
        now = time.monotonic()
        to_commit = self._progress.to_commit
        if not to_commit or (not wait and now - self._committed_at < _COMMIT_INTERVAL_S):
            return
        offsets = [confluent_kafka.TopicPartition(*part, offset) for part, offset in to_commit.items()]
        to_commit.clear()
        self._committed_at = now
        try:
            consumer.commit(offsets=offsets, asynchronous=not wait)
        except KafkaException as error:
            log.debug("the group's offsets were not committed", extra={"error": str(error)})

    def report_if_unassigned(self) -> None:
        """Report a join that is refused or takes too long: nothing is read then, and no partition's lag shows it."""
        if self._unassigned_since is None:
            return
        group = self._config.kafka.group
        patience = _JOIN_SESSIONS * self._config.kafka.session_timeout_ms / 1000
        if self._heard.code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
            message = f"Kafka does not let this user join the consumer group {group} (no ACL allows it)"
            hint = RIGHTS_HINT
        elif time.monotonic() - self._unassigned_since >= patience:
            message = f"joining the consumer group {group} has not succeeded for {patience:.0f} s"
            hint = (
                "nothing is read meanwhile; the client retries by itself within a minute. Check that the group's"
                " coordinator is up: obsctl kafka status"
            )
        else:
            return
        if self._telemetry.trouble("group", message, hint):
            log.warning("waiting to join the consumer group", extra={"error": message, "hint": hint})

    def _on_assign(self, consumer: confluent_kafka.Consumer, parts: list[confluent_kafka.TopicPartition]) -> None:
        # Without an offset the client would begin anywhere, and with an offset that the broker no longer has it would
        # stop reading the partition. So for now it is assigned nothing, which completes the rebalance, and each
        # partition is added when its position is known. (A partition that is assigned and then paused may be fetched
        # in between.)
        consumer.incremental_assign([])
        ours = _named(parts)
        self._progress.assigned(ours)
        self._unassigned_since = None
        self._heard = KafkaError(KafkaError.NO_ERROR)
        self._telemetry.clear("client")
        if self._telemetry.clear("group"):
            log.info("joined the consumer group")
        if ours:
            log.info("partitions assigned", extra={"partitions": names(ours)})

    def _on_revoke(self, consumer: confluent_kafka.Consumer, parts: list[confluent_kafka.TopicPartition]) -> None:
        # Wait until the lines in flight are stored, so that the next owner does not read them again. If it does, no
        # harm is done, due to the fence and the identities.
        self.drain(consumer)
        revoked = self._release(consumer, parts)
        if revoked:
            log.info("partitions handed over", extra={"partitions": names(revoked)})

    def _on_lost(self, consumer: confluent_kafka.Consumer, parts: list[confluent_kafka.TopicPartition]) -> None:
        lost = self._release(consumer, parts)
        self._unassigned_since = time.monotonic()
        log.warning(
            "partitions lost: the group got no heartbeat from this member within its session timeout",
            extra={"partitions": names(lost)},
        )

    def _release(
        self, consumer: confluent_kafka.Consumer, parts: list[confluent_kafka.TopicPartition]
    ) -> list[TopicPartition]:
        released = _named(parts)
        self._progress.release(consumer, released)
        for part in released:
            self._telemetry.clear(str(part))
        return released

    def _on_client_error(self, error: KafkaError) -> None:
        if clients.is_fatal(error):
            self.fatal = error
            return
        # One broker of several is not a trouble here; others become leaders of its partitions.
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            # The queries for the ends find out whether the brokers are down or refuse us, and report it.
            if "kafka" not in self._telemetry.troubles:
                # The error before it is the last broker's.
                note_kafka_away(self._telemetry, self._heard if clients.is_shut_out(self._heard) else error)
        else:
            self._heard = error
            log.info("the Kafka client reports", extra={"error": error.str()})


def _named(parts: list[confluent_kafka.TopicPartition]) -> list[TopicPartition]:
    return [TopicPartition(p.topic, p.partition) for p in parts]
