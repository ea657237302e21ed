"""``obsctl-consumer``: reads log lines from Kafka and stores each exactly once."""

from __future__ import annotations

import argparse
import http.server
import logging
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from obsctl import __version__
from obsctl.contract import ConfigError, ExitCode
from obsctl.fleet.secrets import resolve
from obsctl.pipeline import config, health, journal
from obsctl.pipeline.batch import Assembler
from obsctl.pipeline.client_address import TrustedProxies
from obsctl.pipeline.ends import Ends
from obsctl.pipeline.formats import registry
from obsctl.pipeline.housekeeping import Housekeeping
from obsctl.pipeline.mysql import MySQLStore
from obsctl.pipeline.reader import Reader
from obsctl.pipeline.telemetry import Telemetry
from obsctl.pipeline.writer import Writer

log = logging.getLogger(__name__)

_STOP_SECONDS = 5.0


def main(argv: Sequence[str] | None = None) -> None:
    """Run the consumer and exit with its code."""
    parser = argparse.ArgumentParser(prog="obsctl-consumer", description="Store log lines from Kafka, each once.")
    parser.add_argument("--config", type=Path, default=Path("/etc/obsctl/consumer.yml"), help="configuration (YAML)")
    parser.add_argument("--check", action="store_true", help="only check the configuration and its secrets")
    parser.add_argument("--version", action="version", version=__version__)
    arguments = parser.parse_args(argv)
    try:
        settings = config.load(arguments.config)
        resolve(settings.database.password)
    except ConfigError as error:
        sys.stderr.write(f"obsctl-consumer: {error}\n" + (f"hint: {error.hint}\n" if error.hint else ""))
        sys.exit(int(ExitCode.CONFIG))
    if not arguments.check:
        journal.start()
        run(settings)


def run(settings: config.Config) -> None:
    """Run until SIGTERM or SIGINT, then store what is in flight and leave."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    telemetry = Telemetry()
    server = _serve_health(settings.health, telemetry)
    log.info("started", extra={"version": __version__, "health_port": server.server_port if server else None})
    housekeeping = Housekeeping(MySQLStore(settings.database, settings.retention_days), settings.kafka, telemetry)
    housekeeping.start()
    housekeeping.wait_ready(stop)
    writer = Writer(MySQLStore(settings.database, settings.retention_days), telemetry)
    assembler = Assembler(
        registry.formats(error_log_timezone=settings.error_log_timezone),
        TrustedProxies(settings.proxy_networks()),
    )
    ends = Ends(settings.kafka, telemetry)
    ends.start()
    Reader(settings, assembler, writer, housekeeping, ends=ends, telemetry=telemetry).run(stop)
    ends.stop()
    writer.stop(_STOP_SECONDS)
    housekeeping.stop(_STOP_SECONDS)
    if server:
        server.shutdown()
    log.info("stopped", extra={"lines": telemetry.lines})


def _serve_health(settings: config.Health, telemetry: Telemetry) -> http.server.ThreadingHTTPServer | None:
    """Serve the health page; storing lines does not stop for want of a port."""
    try:
        return health.serve(telemetry, settings.address, settings.port)
    except OSError as error:
        hint = "another program has the port; set health.port (the role's consumer_metrics_port)"
        log.error(  # noqa: TRY400  the place in this program says nothing
            "no health page",
            extra={"address": f"{settings.address}:{settings.port}", "error": str(error), "hint": hint},
        )
        return None


if __name__ == "__main__":
    main()
