"""A worker as its supervisor sees it: started, monitored, replaced when it exits, stops reporting or stalls."""

from __future__ import annotations

import contextlib
import logging
import signal
import subprocess
import sys
import threading
import time
from typing import IO

import msgspec

from obsctl.consumer.config import Config
from obsctl.consumer.telemetry import Counters, Report
from obsctl.consumer.unit.overview import WorkerState
from obsctl.consumer.unit.stall import StallDetector
from obsctl.core.backoff import Backoff
from obsctl.core.consumer_page import Note
from obsctl.core.utc import iso

log = logging.getLogger(__name__)

#: A report comes every second; after this time without one the worker counts as silent.
SILENT_S = 5.0
#: How long a replaced worker is reported as a trouble; if a process ran for longer, the wait before the next restart
#: is short again.
_REMEMBERED_S = 60.0
#: The longest report, bytes.
_REPORT_BYTES = 2**20
_FIRST_WAIT_S = 1.0
_LONGEST_WAIT_S = 30.0
_LISTENER_S = 1.0
#: A start loads libraries, which takes long on a busy machine.
FIRST_REPORT_S = 30.0


class Child:
    """One of the unit's workers, over all its restarts. ``state`` may be called from any thread, the rest from one."""

    def __init__(self, number: int, settings: Config) -> None:
        self.number = number
        self._settings = settings.of_worker(number)
        #: During a rebalance the worker waits for lines in flight, and nothing advances meanwhile.
        self._stall_limit = settings.stuck_seconds + settings.drain_seconds
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._listener = threading.Thread()
        self._backoff = Backoff(_FIRST_WAIT_S, _LONGEST_WAIT_S)
        self._due = 0.0
        self._started = 0.0
        #: When the present process was started or last sent a report; and when any process last did (at first the
        #: first start).
        self._heard = time.monotonic()
        self._last_heard: float | None = None
        self._report: Report | None = None
        self._past = Counters()
        self._stall = StallDetector()
        self._restarts = 0
        self._stuck_restarts = 0
        #: Why the present process was killed; empty if it was not.
        self._kill_reason = ""
        #: Why the last process ended, and when by the wall clock.
        self._ending = ""
        self._ended_at = 0.0

    # -- life --------------------------------------------------------------------------------------------------

    def turn(self, now: float) -> None:
        """Do what is due: start the process, notice its end, kill it if it is silent or stalled."""
        if self._process is None:
            if now >= self._due:
                self._start(now)
            return
        code = self._process.poll()
        if code is not None:
            self._reap(_ending(code), now)
        elif not self._kill_reason and (fault := self._fault(now)):
            self._kill_reason = fault
            self._stuck_restarts += 1
            log.error("a worker is replaced", extra={"worker": self.number, "reason": fault})
            self._process.kill()

    def terminate(self) -> None:
        """Ask the process to store the lines in flight and to end."""
        if self._process is not None:
            self._process.terminate()

    def kill(self) -> None:
        """End the process at once."""
        if self._process is not None:
            self._process.kill()

    def gone(self) -> bool:
        """Return whether there is no process (any more)."""
        return self._process is None or self._process.poll() is not None

    def _start(self, now: float) -> None:
        if self._last_heard is None:
            self._last_heard = now
        arguments = [str(self.number), str(logging.getLogger().level)]
        try:
            process = subprocess.Popen(
                # Without modules of the current directory (-P), and without the terminal's signals, which the
                # supervisor passes on.
                [sys.executable, "-P", "-m", "obsctl.consumer.unit.worker", *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                process_group=0,
            )
        except OSError as error:
            log.error("a worker cannot be started", extra={"worker": self.number, "error": str(error)})  # noqa: TRY400
            self._wait(f"it could not be started: {error}", now)
            return
        assert process.stdin is not None  # noqa: S101
        assert process.stdout is not None  # noqa: S101
        with self._lock:
            self._process = process
            self._report = None
        self._started = self._heard = now
        self._stall = StallDetector()
        self._kill_reason = ""
        self._listener = threading.Thread(
            target=self._listen, args=(process.stdout,), name=f"worker-{self.number}", daemon=True
        )
        self._listener.start()
        try:
            process.stdin.write(msgspec.json.encode(self._settings) + b"\n")
            process.stdin.flush()
        except OSError as error:
            log.info("a worker exited right after its start", extra={"worker": self.number, "error": str(error)})

    def _listen(self, reports: IO[bytes]) -> None:
        while line := reports.readline(_REPORT_BYTES):
            try:
                report = msgspec.json.decode(line, type=Report)
            except msgspec.MsgspecError as error:
                log.warning("a worker's report is unreadable", extra={"worker": self.number, "error": str(error)})
                continue
            with self._lock:
                self._report = report
                self._heard = self._last_heard = time.monotonic()

    def _reap(self, ending: str, now: float) -> None:
        assert self._process is not None  # noqa: S101
        self._listener.join(_LISTENER_S)  # its last report counts
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):  # closing it flushes what the process did not read
                pipe.close()  # type: ignore[union-attr]
        ending = self._kill_reason or ending
        log.error("a worker has exited", extra={"worker": self.number, "pid": self._process.pid, "reason": ending})
        with self._lock:
            if self._report is not None:
                self._past.add(self._report.counters)
            self._report = None
            self._process = None
        if now - self._started > _REMEMBERED_S:
            self._backoff.reset()
        self._wait(ending, now)

    def _wait(self, ending: str, now: float) -> None:
        self._restarts += 1
        self._ending, self._ended_at = ending, time.time()
        self._due = now + self._backoff.delay()

    # -- what it is doing --------------------------------------------------------------------------------------

    def quiet_seconds(self, now: float) -> float:
        """Return the time since this worker's last report, however often it was restarted meanwhile."""
        return now - self._last_heard if self._last_heard is not None else 0.0

    def refused(self) -> int:
        """Return how many records the store has refused so far."""
        with self._lock:
            return self._past.refused + (self._report.counters.refused if self._report else 0)

    def _fault(self, now: float) -> str:
        with self._lock:
            report, heard = self._report, self._heard
        patience = self._settings.stuck_seconds
        if report is None:
            patience = max(patience, FIRST_REPORT_S)
        if now - heard > patience:
            return f"it sent no report for {now - heard:.0f} s"
        if report is None:
            return ""
        # Judged at its last report: without a report it is silent, not stalled.
        stalled = self._stall.stalled_s(report, heard)
        if stalled > self._stall_limit:
            return (
                f"it stored nothing for {stalled:.0f} s, while lines came to its partitions and it reported no trouble"
            )
        return ""

    def state(self, now: float) -> WorkerState:
        """Return the worker's state at the monotonic time ``now``."""
        with self._lock:
            process, report, heard = self._process, self._report, self._heard
            past = Counters()
            past.add(self._past)
        if process is None:
            state = "restarting" if self._ending else "starting"
        elif now - heard > SILENT_S:
            state = "silent"
        else:
            state = "running" if report is not None else "starting"
        return WorkerState(
            number=self.number,
            state=state,
            pid=process.pid if process else None,
            restarts=self._restarts,
            stuck_restarts=self._stuck_restarts,
            report=report,
            past=past,
            trouble=self._trouble(state, now - heard),
        )

    def _trouble(self, state: str, silent: float) -> Note | None:
        hint = f"journalctl -u obsctl-consumer | grep '\"worker\":{self.number}' has more"
        if state == "silent":
            message = f"it has sent no report for {silent:.0f} s; the state of its partitions is unknown"
            hint = (
                f"it is replaced after {self._settings.stuck_seconds:.0f} s; check whether the host is short "
                "of memory or CPU"
            )
            return Note(message, hint, _ago(silent))
        if self._ending and (state != "running" or time.time() - self._ended_at < _REMEMBERED_S):
            message = f"its process ended and {'is being' if state != 'running' else 'was'} replaced: {self._ending}"
            return Note(message, hint, _ago(time.time() - self._ended_at))
        if state == "starting":
            return Note("it is starting and has sent no report yet", "a start takes a second or two", _ago(silent))
        return None


def _ending(code: int) -> str:
    """Return an exit code as text."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"


def _ago(seconds: float) -> str:
    return iso(time.time() - seconds)
