"""Work besides reading lines, with its own connection to the store: day partitions, retention, dead letters."""

from __future__ import annotations

import datetime
import logging
import threading
import time

import confluent_kafka

from obsctl.consumer.config import Kafka
from obsctl.consumer.telemetry import INTERNAL_ERROR_HINT, Telemetry
from obsctl.core.backoff import Backoff
from obsctl.kafka import clients
from obsctl.store.interface import DeadLetter, Store, StoreUnavailableError

log = logging.getLogger(__name__)

#: Day partitions are created days ahead, so an hourly upkeep is enough; refused records should be seen within a
#: minute.
_UPKEEP_S = 3600.0
#: How long after midnight (UTC) the upkeep begins, so that the server's clock has passed midnight as well.
_AFTER_MIDNIGHT_S = 5.0
_LETTERS_S = 60.0
_LETTERS_AT_ONCE = 100
_BUSY_HINT = "as root on the database's host, mysql -e 'SHOW FULL PROCESSLIST' shows the session; wait, or KILL its id"
_FLUSH_S = 30.0


class Housekeeping:
    """Runs the upkeep at the start, hourly and on each new day, and sends dead letters when due, in its own thread."""

    def __init__(self, store: Store, kafka: Kafka, telemetry: Telemetry) -> None:
        self._store = store
        self._kafka = kafka
        self._telemetry = telemetry
        self._producer: confluent_kafka.Producer | None = None
        self._failed = False
        self._ready = threading.Event()
        self._woken = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._telemetry.trouble(
            "upkeep",
            "the tables have not been checked yet; no line is stored before today's partitions are known to exist",
            "this takes a second or two while the database answers",
        )
        self._thread.start()

    def ready(self) -> bool:
        """Return whether today's partitions exist: before that no row may be stored."""
        return self._ready.is_set()

    def letters_due(self) -> None:
        """Have the due dead letters sent."""
        self._woken.set()

    def stop(self, timeout: float) -> None:
        """End the thread, waiting at most ``timeout`` seconds for its current work."""
        self._stop.set()
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _run(self) -> None:
        backoff = Backoff()
        due = time.monotonic()
        while not self._stop.is_set():
            if time.monotonic() >= due:
                pause = seconds_to_upkeep(datetime.datetime.now(datetime.UTC)) if self._upkeep() else _LETTERS_S
                due = time.monotonic() + pause
            if self._ready.is_set():
                self._send_letters()
                self._woken.wait(min(_LETTERS_S, due - time.monotonic()))
                self._woken.clear()
            else:
                due = time.monotonic() + backoff.delay()
                self._stop.wait(due - time.monotonic())
        self._store.close()

    def _upkeep(self) -> bool:
        """Do the upkeep; return whether it is complete."""
        failed, self._failed = self._failed, True
        try:
            upkeep = self._store.upkeep()
        except StoreUnavailableError as error:
            if self._telemetry.trouble("upkeep", str(error), error.hint):
                log.warning("table maintenance is blocked", extra={"error": str(error), "hint": error.hint})
            return False
        except Exception as error:
            self._telemetry.trouble("upkeep", f"internal error: {error!r}", INTERNAL_ERROR_HINT)
            log.exception("table maintenance failed")
            return False
        if upkeep.ready:
            self._ready.set()
        if upkeep.busy:
            message = (
                f"an open transaction on {', '.join(upkeep.busy)} blocks ALTER TABLE, so day partitions "
                "cannot be changed"
            )
            if self._telemetry.trouble("upkeep", message, _BUSY_HINT):
                log.warning("table maintenance is blocked", extra={"tables": upkeep.busy, "hint": _BUSY_HINT})
            return False
        self._failed = failed and not upkeep.done
        if not upkeep.done and (failed or not upkeep.ready):
            return False  # another process, or a timed-out statement of ours, is still at it: no proof that it is done
        self._telemetry.clear("upkeep")
        if upkeep.done:
            self._telemetry.beyond = dict(upkeep.beyond)
            for table, count in upkeep.beyond.items():
                if count:
                    log.warning(
                        "rows are in the catch-all partition p_max: a host's clock is ahead, or the upkeep has failed",
                        extra={"table": table, "rows": count},
                    )
        return True

    def _send_letters(self) -> None:
        """Send every due letter; those that no broker accepts stay due."""
        try:
            while letters := self._store.dead_letters(_LETTERS_AT_ONCE):
                accepted = self._produce(letters)
                self._store.settle_dead_letters(accepted)
                self._telemetry.dead_letters += len(accepted)
                if len(accepted) < len(letters):
                    log.warning("dead letters are delayed", extra={"waiting": len(letters) - len(accepted)})
                    return
        except StoreUnavailableError as error:
            log.info("dead letters are waiting for the database", extra={"error": str(error)})
        except Exception:
            log.exception("sending dead letters failed")

    def _produce(self, letters: list[DeadLetter]) -> list[DeadLetter]:
        if self._producer is None:
            self._producer = confluent_kafka.Producer(
                clients.settings(self._kafka.brokers, "obsctl-consumer-dlq")
                | {
                    "acks": "all",
                    "delivery.timeout.ms": int(_FLUSH_S * 1000) - 5000,
                    "message.max.bytes": 64 * 2**20,  # only the broker's limit counts
                }
            )
        accepted, too_large = self._offer(letters, whole=True)
        if too_large:
            # The row in the quarantine is what matters; a copy that no broker accepts must not block later ones.
            accepted += self._offer(too_large, whole=False)[0]
        return accepted

    def _offer(self, letters: list[DeadLetter], *, whole: bool) -> tuple[list[DeadLetter], list[DeadLetter]]:
        """Send the letters, with their values or only with headers; return the accepted ones and the too large ones."""
        assert self._producer is not None  # noqa: S101 - _produce made it
        accepted: list[DeadLetter] = []
        too_large: list[DeadLetter] = []

        def delivered(error: confluent_kafka.KafkaError | None, letter: DeadLetter) -> None:
            if error is None:
                accepted.append(letter)
            elif error.code() == confluent_kafka.KafkaError.MSG_SIZE_TOO_LARGE:
                too_large.append(letter)
            else:
                log.warning("a dead letter was not accepted", extra={"error": str(error)})

        for letter in letters:
            self._producer.produce(
                self._kafka.topics.dlq,
                value=letter.value if whole else None,
                key=letter.line_id.hex(),
                headers=_headers(letter) + ([] if whole else [("obs.value_omitted", b"too large")]),
                on_delivery=lambda error, _, letter=letter: delivered(error, letter),
            )
        self._producer.flush(_FLUSH_S)
        return accepted, too_large


def seconds_to_upkeep(now: datetime.datetime) -> float:
    """Return how long the next upkeep may wait (seconds).

    At the latest until the next day begins: then a day's retention ends, and its lines must have no partition any
    more.

    Args:
        now: the UTC time.
    """
    midnight = datetime.datetime.combine(now.date(), datetime.time(), datetime.UTC)
    begins = midnight + datetime.timedelta(seconds=_AFTER_MIDNIGHT_S)
    if begins <= now:
        begins += datetime.timedelta(days=1)
    return min(_UPKEEP_S, (begins - now).total_seconds())


def _headers(letter: DeadLetter) -> list[tuple[str, bytes]]:
    return [
        ("obs.line_id", letter.line_id.hex().encode()),
        ("obs.error.reason", letter.reason.encode()),
        ("obs.error.detail", letter.detail.encode()),
        ("obs.topic", letter.topic.encode()),
        ("obs.partition", str(letter.partition).encode()),
        ("obs.offset", str(letter.offset).encode()),
        ("obs.log_format", letter.log_format.encode()),
        ("obs.host", letter.host.encode()),
    ]
