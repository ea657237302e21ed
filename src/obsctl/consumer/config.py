"""The consumer's configuration file, ``/etc/obsctl/consumer.yml``.

A setting that the role always writes has no default here, only in the role.
"""

from __future__ import annotations

import ipaddress
import os
import zoneinfo
from pathlib import Path
from typing import Annotated

import msgspec

from obsctl.core.config_file import ConfigFile, InvalidValueError
from obsctl.core.kafka_section import KafkaSection
from obsctl.core.settings import Name, Network, Section
from obsctl.store.settings import Database

#: With more workers, the brokers and the database are the bottleneck.
MOST_PROCESSES = 8


class Topics(Section, frozen=True, kw_only=True):
    """The topics of lines, and the topic for copies of refused records."""

    access: Name
    error: Name
    dlq: Name


class Kafka(KafkaSection, frozen=True, kw_only=True):
    """How to reach the brokers and take part in the group.

    Attributes:
        instance: identity of this member over restarts (``group.instance.id``), unique in the group. With it a member
            that restarts within the session timeout gets its partitions back without a rebalance. Empty: none.
        session_timeout_ms: after this time without a heartbeat the other members take over a dead member's partitions.
    """

    group: Name
    topics: Topics
    instance: str = ""
    session_timeout_ms: Annotated[int, msgspec.Meta(ge=1000, le=300_000)] = 10_000


class BatchLimits(Section, frozen=True, kw_only=True):
    """A batch is stored when it holds ``lines`` lines or ``interval_ms`` have passed, whichever comes first."""

    lines: Annotated[int, msgspec.Meta(ge=1, le=50_000)]
    interval_ms: Annotated[int, msgspec.Meta(ge=10, le=10_000)]


class Health(Section, frozen=True, kw_only=True):
    """Where the process serves ``/health`` (JSON) and ``/metrics`` (Prometheus)."""

    address: Name
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)]


class Config(Section, frozen=True, kw_only=True):
    """The whole file.

    Attributes:
        retention_days: how many whole UTC days are kept; older day partitions are dropped.
        trusted_proxies: networks whose ``X-Forwarded-For`` is believed; by default none.
        error_log_timezone: the zone of nginx's error lines, which do not contain one (an IANA name).
        drain_seconds: how long a stop, or a partition's hand-over, waits for the lines in flight.
        processes: number of workers that share the partitions; 0 for one per core of this machine.
        native: whether records are read by the native module where it is installed.
        stuck_seconds: a worker that sends no report, or stores nothing although it could, for this long is replaced.
    """

    kafka: Kafka
    database: Database
    batch: BatchLimits
    retention_days: Annotated[int, msgspec.Meta(ge=1, le=366)]
    trusted_proxies: tuple[str, ...]
    error_log_timezone: str
    drain_seconds: Annotated[float, msgspec.Meta(gt=0, le=120)] = 10.0
    processes: Annotated[int, msgspec.Meta(ge=0, le=MOST_PROCESSES)]
    native: bool
    stuck_seconds: Annotated[float, msgspec.Meta(ge=5, le=600)] = 30.0
    health: Health

    def workers(self) -> int:
        """Return the number of worker processes to run."""
        return self.processes or min(len(os.sched_getaffinity(0)), MOST_PROCESSES)

    def of_worker(self, number: int) -> Config:
        """Return a worker's configuration: the same, but with a group instance id of its own."""
        instance = f"{self.kafka.instance}.{number}" if self.kafka.instance else ""
        return msgspec.structs.replace(self, kafka=msgspec.structs.replace(self.kafka, instance=instance))

    def proxy_networks(self) -> tuple[Network, ...]:
        """Return ``trusted_proxies`` as networks; a single address becomes a network of one address."""
        return tuple(ipaddress.ip_network(text) for text in self.trusted_proxies)


def load(path: Path) -> Config:
    """Read and check the configuration.

    Raises:
        ConfigError: the file cannot be read or is invalid; the message names file, line and key.
    """
    file = ConfigFile(path)
    config = file.to(Config)
    for index, network in enumerate(config.trusted_proxies):
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise file.error(InvalidValueError(f"trusted_proxies[{index}]", str(error))) from None
    try:
        zoneinfo.ZoneInfo(config.error_log_timezone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        fault = InvalidValueError(
            "error_log_timezone",
            f"there is no time zone {config.error_log_timezone!r} on this host",
            hint="use a name such as UTC or Europe/Berlin",
        )
        raise file.error(fault) from None
    return config
