"""The unit's main process: runs the workers, maintains the tables, serves the pages, and notifies systemd.

It stores no lines itself, so no line can crash it. Work that is needed once per machine (table maintenance,
dead letters) is done here. The workers end with it: see ``worker``.
"""

from __future__ import annotations

import collections
import logging
import os
import threading
import time

from obsctl import __version__
from obsctl.consumer.config import Config
from obsctl.consumer.housekeeping import Housekeeping
from obsctl.consumer.telemetry import Telemetry
from obsctl.consumer.unit import health_page, worker
from obsctl.consumer.unit.backlog import Backlog
from obsctl.consumer.unit.overview import Overview, gather
from obsctl.consumer.unit.worker_process import FIRST_REPORT_S, Child
from obsctl.core.consumer_page import Note
from obsctl.core.serve import Server
from obsctl.core.systemd import Notifier
from obsctl.store.mysql.store import MySQLStore

log = logging.getLogger(__name__)

_TURN_S = 0.2
#: How often systemd is notified; the unit's WatchdogSec must be several times as long.
NOTIFY_S = 2.0
#: The loop runs five times a second; after this time without a turn it counts as hung, seconds.
_HANGING_S = 10.0
#: The displayed rate is the mean over this many seconds.
_RATE_S = 10.0
_KILLED_S = 5.0


class Supervisor:
    """Runs until it is stopped."""

    def __init__(self, settings: Config, notifier: Notifier) -> None:
        self._settings = settings
        self._notifier = notifier
        self._telemetry = Telemetry()
        self._started = time.time()
        self._children = [Child(number, settings) for number in range(settings.workers())]
        self._turned = time.monotonic()
        self._notified_at = float("-inf")
        self._watchdog_stopped = False
        self._refused = 0
        self._passed: collections.deque[tuple[float, int]] = collections.deque()
        self._backlog = Backlog()

    def run(self, stop: threading.Event) -> None:
        """Run until ``stop`` is set, then have the workers store the lines in flight, and end."""
        settings = self._settings
        server = self._serve_health()
        log.info(
            "started",
            extra={
                "version": __version__,
                "workers": len(self._children),
                "health_port": server.port if server else None,
            },
        )
        store = MySQLStore(settings.database, settings.retention_days)
        housekeeping = Housekeeping(store, settings.kafka, self._telemetry)
        housekeeping.start()
        self._notifier.send("READY=1", "STATUS=starting")
        while not stop.is_set():
            time.sleep(_TURN_S)  # not stop.wait(): a signal handler sets it, and may run while its lock is held
            now = time.monotonic()
            self._turned = now
            if housekeeping.ready():
                self._turn(housekeeping, now)
            self._notify(now)
        self._notifier.send("STOPPING=1", "STATUS=storing the lines in flight")
        self._end()
        housekeeping.stop(worker.STOP_S)
        log.info("stopped", extra={"records": self.overview().counters.records})
        if server:
            server.stop()

    def overview(self) -> Overview:
        """Return the unit's state; may be called from any thread."""
        now = time.monotonic()
        passed = self._passed.copy()
        seconds = passed[-1][0] - passed[0][0] if passed else 0.0
        seen = gather(
            self._telemetry,
            [child.state(now) for child in self._children],
            started=self._started,
            lines_per_second=round((passed[-1][1] - passed[0][1]) / seconds, 1) if seconds else None,
            dead_letter_topic=self._settings.kafka.topics.dlq,
            behind_s=self._backlog.age_s(now),
        )
        hanging = now - self._turned
        if hanging > _HANGING_S:
            message = f"the supervisor's main loop has been stuck for {hanging:.0f} s"
            seen.troubles["supervisor"] = Note(message, "systemd restarts the unit by itself", "")
        return seen

    # -- the loop ----------------------------------------------------------------------------------------------

    def _turn(self, housekeeping: Housekeeping, now: float) -> None:
        for child in self._children:
            child.turn(now)
        refused = sum(child.refused() for child in self._children)
        if refused > self._refused:
            self._refused = refused
            housekeeping.letters_due()

    def _notify(self, now: float) -> None:
        """Send systemd the status, and the watchdog notification while every worker is alive."""
        if now - self._notified_at < NOTIFY_S:
            return
        self._notified_at = now
        seen = self.overview()
        self._passed.append((now, seen.counters.records))
        self._backlog.look((placed.progress for placed in seen.partitions), now)
        while now - self._passed[0][0] > _RATE_S:
            self._passed.popleft()
        # Beyond twice the limit the kill has not helped, or the worker never sends its first report.
        limit = 2 * max(self._settings.stuck_seconds, FIRST_REPORT_S)
        lost = [child.number for child in self._children if child.quiet_seconds(now) > limit]
        if lost and not self._watchdog_stopped:
            log.error(
                "the watchdog is no longer notified, so systemd restarts the unit: the workers cannot be restarted",
                extra={"workers": lost},
            )
        self._watchdog_stopped = bool(lost)
        self._notifier.send(f"STATUS={_status(seen)}", *([] if lost else ["WATCHDOG=1"]))

    def _end(self) -> None:
        for child in self._children:
            child.terminate()
        self._wait_for_end(self._settings.drain_seconds + 2 * worker.STOP_S)
        for child in self._children:
            if not child.gone():
                log.error("a worker did not stop in time and is killed", extra={"worker": child.number})
                child.kill()
        self._wait_for_end(_KILLED_S)

    def _wait_for_end(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not all(child.gone() for child in self._children):
            time.sleep(_TURN_S / 4)

    def _serve_health(self) -> Server | None:
        """Serve the health page; if the port cannot be used, lines are stored nevertheless."""
        settings = self._settings.health
        try:
            return Server(
                settings.address,
                settings.port,
                health=lambda: health_page.health(self.overview()),
                metrics=lambda: health_page.metrics(self.overview()),
            )
        except OSError as error:
            hint = "another program uses the port; set health.port (the role's consumer_metrics_port)"
            log.error(  # noqa: TRY400  the place in this program says nothing
                "no health page",
                extra={"address": f"{settings.address}:{settings.port}", "error": str(error), "hint": hint},
            )
            return None


def run(settings: Config, stop: threading.Event) -> None:
    """Run the unit until ``stop`` is set."""
    Supervisor(settings, Notifier(os.environ)).run(stop)


def _status(seen: Overview) -> str:
    """Return the text for ``systemctl status``."""
    if seen.troubles:
        return "; ".join(f"{subject}: {trouble.message}" for subject, trouble in seen.troubles.items())[:200]
    lags = [placed.progress.lag for placed in seen.partitions]
    lag = "unknown" if None in lags else sum(lag for lag in lags if lag is not None)
    rate = "an unknown number of" if seen.lines_per_second is None else f"{seen.lines_per_second:g}"
    return f"{len(seen.workers)} workers, {rate} lines/s, lag {lag}"
