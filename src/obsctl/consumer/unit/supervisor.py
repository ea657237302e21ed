"""The unit's main process: runs the workers, looks after the tables, answers for all, and shows systemd that it lives.

It stores no line itself, so nothing that a line can do reaches it. What there is to do once a machine (upkeep of the
tables, dead letters) is done here. The workers end with it: see ``worker``.
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
from obsctl.consumer.telemetry import Note, Telemetry
from obsctl.consumer.unit import health_page, worker
from obsctl.consumer.unit.overview import Overview, gather
from obsctl.consumer.unit.worker_process import FIRST_WORD_SECONDS, Child
from obsctl.core.serve import Server
from obsctl.core.systemd import Notifier
from obsctl.store.mysql.store import MySQLStore

log = logging.getLogger(__name__)

_TURN_SECONDS = 0.2
#: How often systemd is told; the unit's WatchdogSec must be several times as long.
TELL_SECONDS = 2.0
#: The loop turns five times a second; after this pause it counts as standing.
_STANDING_SECONDS = 10.0
#: The rate shown is that of so many seconds.
_RATE_SECONDS = 10.0
_KILLED_SECONDS = 5.0


class Supervisor:
    """Runs until it is told to stop."""

    def __init__(self, settings: Config, notifier: Notifier) -> None:
        self._settings = settings
        self._notifier = notifier
        self._telemetry = Telemetry()
        self._started = time.time()
        self._children = [Child(number, settings) for number in range(settings.workers())]
        self._turned = time.monotonic()
        self._told = float("-inf")
        self._lapsed = False
        self._refused = 0
        self._passed: collections.deque[tuple[float, int]] = collections.deque()

    def run(self, stop: threading.Event) -> None:
        """Run until ``stop`` is set, then have the workers store what is in flight, and leave."""
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
        self._notifier.tell("READY=1", "STATUS=starting")
        while not stop.is_set():
            time.sleep(_TURN_SECONDS)  # not stop.wait(): a signal's handler sets it, and may come when its lock is held
            now = time.monotonic()
            self._turned = now
            if housekeeping.ready():
                self._turn(housekeeping, now)
            self._tell(now)
        self._notifier.tell("STOPPING=1", "STATUS=storing what is in flight")
        self._end()
        housekeeping.stop(worker.STOP_SECONDS)
        log.info("stopped", extra={"records": self.overview().counters.records})
        if server:
            server.stop()

    def overview(self) -> Overview:
        """Return what the unit is doing; may be called from any thread."""
        now = time.monotonic()
        passed = self._passed.copy()
        seconds = passed[-1][0] - passed[0][0] if passed else 0.0
        seen = gather(
            self._telemetry,
            [child.state(now) for child in self._children],
            started=self._started,
            lines_per_second=round((passed[-1][1] - passed[0][1]) / seconds, 1) if seconds else None,
        )
        standing = now - self._turned
        if standing > _STANDING_SECONDS:
            message = f"the supervisor's loop has not turned for {standing:.0f} s"
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

    def _tell(self, now: float) -> None:
        """Tell systemd how things are, and give a sign of life if all are alive."""
        if now - self._told < TELL_SECONDS:
            return
        self._told = now
        seen = self.overview()
        self._passed.append((now, seen.counters.records))
        while now - self._passed[0][0] > _RATE_SECONDS:
            self._passed.popleft()
        # Beyond twice the limit not even the kill has helped, or the worker does not get as far as its first word.
        limit = 2 * max(self._settings.stuck_seconds, FIRST_WORD_SECONDS)
        lost = [child.number for child in self._children if child.quiet_seconds(now) > limit]
        if lost and not self._lapsed:
            log.error("systemd gets no sign of life any more", extra={"workers": lost})
        self._lapsed = bool(lost)
        self._notifier.tell(f"STATUS={_status(seen)}", *([] if lost else ["WATCHDOG=1"]))

    def _end(self) -> None:
        for child in self._children:
            child.terminate()
        self._wait_for_end(self._settings.drain_seconds + 2 * worker.STOP_SECONDS)
        for child in self._children:
            if not child.gone():
                log.error("a worker did not end in time and is killed", extra={"worker": child.number})
                child.kill()
        self._wait_for_end(_KILLED_SECONDS)

    def _wait_for_end(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not all(child.gone() for child in self._children):
            time.sleep(_TURN_SECONDS / 4)

    def _serve_health(self) -> Server | None:
        """Serve the health page; storing lines does not stop for want of a port."""
        settings = self._settings.health
        try:
            return Server(
                settings.address,
                settings.port,
                health=lambda: health_page.health(self.overview()),
                metrics=lambda: health_page.metrics(self.overview()),
            )
        except OSError as error:
            hint = "another program has the port; set health.port (the role's consumer_metrics_port)"
            log.error(  # noqa: TRY400  the place in this program says nothing
                "no health page",
                extra={"address": f"{settings.address}:{settings.port}", "error": str(error), "hint": hint},
            )
            return None


def run(settings: Config, stop: threading.Event) -> None:
    """Run the unit until ``stop`` is set."""
    Supervisor(settings, Notifier(os.environ)).run(stop)


def _status(seen: Overview) -> str:
    """Return what ``systemctl status`` shows."""
    if seen.troubles:
        return "; ".join(f"{subject}: {trouble.message}" for subject, trouble in seen.troubles.items())[:200]
    lags = [placed.progress.lag for placed in seen.partitions]
    lag = "unknown" if None in lags else sum(lag for lag in lags if lag is not None)
    rate = "an unknown number of" if seen.lines_per_second is None else f"{seen.lines_per_second:g}"
    return f"{len(seen.workers)} workers, {rate} lines/s, lag {lag}"
