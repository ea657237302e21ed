"""``obsctl-consumer``: reads log lines from Kafka and stores each exactly once."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from obsctl import __version__
from obsctl.consumer import config
from obsctl.consumer.unit import supervisor
from obsctl.core import journal
from obsctl.core.errors import ConfigError, ExitCode
from obsctl.core.secrets import resolve
from obsctl.kafka.access import open_access


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
        open_access(settings.kafka.brokers.security)
    except ConfigError as error:
        sys.stderr.write(f"obsctl-consumer: {error}\n" + (f"hint: {error.hint}\n" if error.hint else ""))
        sys.exit(int(ExitCode.CONFIG))
    if not arguments.check:
        journal.start()
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        supervisor.run(settings, stop)


if __name__ == "__main__":
    main()
