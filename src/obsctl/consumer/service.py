"""``obsctl-consumer``: reads log lines from Kafka and stores each exactly once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence
from pathlib import Path

from obsctl.consumer import config
from obsctl.consumer.config import Config
from obsctl.consumer.unit import supervisor
from obsctl.core import daemon
from obsctl.core.secrets import resolve
from obsctl.kafka.access import open_access


def main(argv: Sequence[str] | None = None) -> None:
    """Run the consumer and exit with its code."""
    daemon.run(
        "consumer",
        "Store log lines from Kafka, each once.",
        load=_load,
        check=lambda _: None,
        serve=_serve,
        argv=argv,
    )


def _load(path: Path) -> Config:
    settings = config.load(path)
    resolve(settings.database.password)
    open_access(settings.kafka.brokers.security)
    return settings


def _serve(settings: Config) -> None:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    supervisor.run(settings, stop)


if __name__ == "__main__":
    main()
