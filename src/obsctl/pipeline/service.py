"""``obsctl-consumer``: reads log lines from Kafka and stores each exactly once."""

from __future__ import annotations

import argparse
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
from obsctl.pipeline.formats import registry
from obsctl.pipeline.housekeeping import Housekeeping
from obsctl.pipeline.mysql import MySQLStore
from obsctl.pipeline.reader import Reader
from obsctl.pipeline.telemetry import Telemetry
from obsctl.pipeline.writer import Writer

log = logging.getLogger(__name__)

#: A change of partitions may have to wait for readers and copy rows.
_UPKEEP_IO_SECONDS = 1800
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
    server = health.serve(telemetry, settings.health.address, settings.health.port)
    log.info("started", extra={"version": __version__, "health_port": server.server_port})
    housekeeping = Housekeeping(
        MySQLStore(settings.database, settings.retention_days, io_seconds=_UPKEEP_IO_SECONDS),
        settings.kafka,
        telemetry,
    )
    housekeeping.prepare(stop)
    housekeeping.start()
    writer = Writer(MySQLStore(settings.database, settings.retention_days), telemetry)
    assembler = Assembler(
        registry.formats(error_log_timezone=settings.error_log_timezone),
        TrustedProxies(settings.proxy_networks()),
    )
    Reader(settings, assembler, writer, housekeeping, telemetry).run(stop)
    writer.stop(_STOP_SECONDS)
    housekeeping.stop(_STOP_SECONDS)
    server.shutdown()
    log.info("stopped", extra={"lines": telemetry.lines})


if __name__ == "__main__":
    main()
