"""A worker: reads some of the partitions and stores their lines. The supervisor starts several of them.

Standard input is a pipe from the supervisor: it gives the configuration as one line of JSON, and closes when the
supervisor ends. Reports go to standard output, one a second. The log goes to standard error.
"""

from __future__ import annotations

import fcntl
import logging
import os
import select
import signal
import sys
import threading

import msgspec

from obsctl.consumer import native
from obsctl.consumer.assembler import Assembler
from obsctl.consumer.config import Config
from obsctl.consumer.stream.ends import Ends
from obsctl.consumer.stream.reader import Reader
from obsctl.consumer.telemetry import Telemetry
from obsctl.consumer.writer import Writer
from obsctl.core import daemon, journal
from obsctl.lines.client_address import TrustedProxies
from obsctl.lines.formats import registry
from obsctl.store.mysql.store import MySQLStore

log = logging.getLogger(__name__)

#: How often a worker sends a report.
REPORT_S = 1.0
#: How long a drained worker waits for its writer.
STOP_S = 5.0


def main() -> None:
    """Run until SIGTERM; the arguments are the worker's number and the log level."""
    journal.start(int(sys.argv[2]), worker=int(sys.argv[1]))
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    settings = msgspec.json.decode(sys.stdin.buffer.readline(), type=Config)
    _end_with_the_supervisor(sys.stdin.fileno())
    daemon.collect_rarely()
    # Other output must not get between the reports.
    reports = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    run(settings, stop, reports)


def run(settings: Config, stop: threading.Event, reports: int) -> None:
    """Store lines until ``stop`` is set, then store the lines in flight and end.

    Args:
        reports: the file descriptor for the reports.
    """
    telemetry = Telemetry()
    ends = Ends(settings.kafka, telemetry)
    reporter = _Reporter(telemetry, ends, reports)
    reporter.start()
    writer = Writer(MySQLStore(settings.database, settings.retention_days), telemetry)
    formats = registry.formats(error_log_timezone=settings.error_log_timezone)
    proxies = TrustedProxies(settings.proxy_networks())
    assembler = Assembler(formats, proxies, native.find(formats, proxies, telemetry, wanted=settings.native))
    log.info("records are read", extra={"by": telemetry.read_by})
    ends.start()
    Reader(settings, assembler, writer, ends=ends, telemetry=telemetry).run(stop)
    ends.stop()
    writer.stop(STOP_S)
    reporter.stop()


class _Reporter(threading.Thread):
    """Sends reports to the supervisor; if it does not read them, only this thread is blocked."""

    def __init__(self, telemetry: Telemetry, ends: Ends, out: int) -> None:
        super().__init__(name="reporter", daemon=True)
        self._telemetry = telemetry
        self._ends = ends
        self._out = out
        self._stopping = threading.Event()

    def run(self) -> None:
        self._send()
        while not self._stopping.wait(REPORT_S):
            self._send()
        self._send()

    def stop(self) -> None:
        """Send a last report, and end."""
        self._stopping.set()
        self.join(REPORT_S)

    def _send(self) -> None:
        line = self._telemetry.report(self._ends.of(self._telemetry.positions))
        while line:
            line = line[os.write(self._out, line) :]


def _end_with_the_supervisor(pipe: int) -> None:
    """Have the kernel kill this process when the other end of a pipe closes, whatever the process is doing then.

    ``F_SETSIG`` (fcntl(2)) sets the signal for events on the descriptor, and its closing is the only event.
    PR_SET_PDEATHSIG would do the same, but Python reaches it only through ctypes, which not every hardening allows.
    """
    fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(pipe, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([pipe], [], [], 0)[0]:
        sys.exit("the supervisor has ended")


if __name__ == "__main__":
    main()
