"""What the consumer knows of itself: counters and states, written by its threads, read by ``health``."""

from __future__ import annotations

import datetime
import threading
import time
from typing import Any, NamedTuple

from obsctl.pipeline.batch import Batch, TopicPartition
from obsctl.pipeline.store import Outcome

#: Upper bounds of the commit time's buckets (seconds).
COMMIT_BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


_NOTICE_SECONDS = 24 * 3600.0


class _Notice(NamedTuple):
    since: float
    message: str
    hint: str


class Telemetry:
    """Counters since the start of the process, and the present state. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.started = time.time()
        self.lines = {"stored": 0, "quarantined": 0, "known": 0}
        self.quarantined_by_reason: dict[str, int] = {}
        self.batches = 0
        self.attempts = 0
        self.fenced = 0
        self.missing_offsets = 0
        self.commit_seconds = 0.0
        self.commit_buckets = [0] * (len(COMMIT_BOUNDS) + 1)
        self.last_commit: float | None = None
        self.newest_event = ""
        self.troubles: dict[str, dict[str, str]] = {}
        self._notices: dict[str, _Notice] = {}
        #: Records that are not stored yet; None for a partition that has no position.
        self.lag: dict[TopicPartition, int | None] = {}
        self.beyond: dict[str, int] = {}
        self.dead_letters = 0

    def stored(self, batch: Batch, outcome: Outcome, seconds: float) -> None:
        """Count a batch that was stored, and how long that took."""
        with self._lock:
            self.lines["stored"] += outcome.stored
            self.lines["quarantined"] += outcome.quarantined
            self.lines["known"] += outcome.known
            for row in batch.quarantined:
                self.quarantined_by_reason[row.reason] = self.quarantined_by_reason.get(row.reason, 0) + 1
            if outcome.refused:
                self.quarantined_by_reason["refused"] = self.quarantined_by_reason.get("refused", 0) + outcome.refused
            self.batches += 1
            self.attempts += outcome.attempts
            self.commit_seconds += seconds
            bucket = next((i for i, bound in enumerate(COMMIT_BOUNDS) if seconds <= bound), len(COMMIT_BOUNDS))
            self.commit_buckets[bucket] += 1
            self.last_commit = time.time()
            self.newest_event = max([self.newest_event, *batch.newest_event.values()])

    def trouble(self, subject: str, message: str, hint: str = "") -> bool:
        """Note that something is in the way (``database``, ``kafka``, ``topic/0``); return whether that is news."""
        with self._lock:
            before = self.troubles.get(subject)
            now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
            self.troubles[subject] = {
                "message": message,
                "hint": hint,
                "since": before["since"] if before else now,
            }
            return before is None or before["message"] != message

    def clear(self, subject: str) -> bool:
        """Note that a trouble is over; return whether there was one."""
        with self._lock:
            return self.troubles.pop(subject, None) is not None

    def notice(self, subject: str, message: str, hint: str = "") -> bool:
        """Note what a person should know and nothing waits for; kept for a day. Return whether that is news."""
        with self._lock:
            before = self._notices.get(subject)
            if before is not None and before.message == message:
                return False
            self._notices[subject] = _Notice(time.time(), message, hint)
            return True

    def snapshot(self) -> dict[str, Any]:
        """Return the present state as data for JSON. Status: ok, or waiting if anything is in the way."""
        with self._lock:
            return {
                "status": "waiting" if self.troubles else "ok",
                "started_at": _iso(self.started),
                "troubles": dict(self.troubles),
                "notices": {
                    subject: {"message": notice.message, "hint": notice.hint, "since": _iso(notice.since)}
                    for subject, notice in self._notices.items()
                    if time.time() - notice.since < _NOTICE_SECONDS
                },
                "lines": dict(self.lines),
                "quarantined_by_reason": dict(self.quarantined_by_reason),
                "batches": self.batches,
                "fenced": self.fenced,
                "missing_offsets": self.missing_offsets,
                "dead_letters": self.dead_letters,
                "last_commit_at": _iso(self.last_commit) if self.last_commit else None,
                "newest_event": self.newest_event or None,
                "beyond": dict(self.beyond),
                "partitions": [
                    {"topic": part.topic, "partition": part.partition, "lag": lag}
                    for part, lag in sorted(self.lag.items())
                ],
            }


def _iso(moment: float) -> str:
    return datetime.datetime.fromtimestamp(moment, datetime.UTC).isoformat(timespec="milliseconds")
