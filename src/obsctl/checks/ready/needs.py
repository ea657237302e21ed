"""What the fleet will need of its hosts once it is installed: ports, and who connects to whom."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from obsctl.fleet.model import Fleet, Host


class Port(NamedTuple):
    """A TCP port that a service of the fleet's will listen on, and the service's systemd unit."""

    number: int
    unit: str


def ports_of(fleet: Fleet, host: Host) -> Iterator[Port]:
    """Yield the ports that the services of a host will listen on."""
    if "lb" in host.groups and fleet.vip is not None:
        https = fleet.vip.https
        yield from [Port(https.port, "nginx")] if https is not None else []
        yield from [Port(fleet.vip.port, "nginx")] if https is None or https.http != "close" else []
    if host.backend is not None:
        yield Port(host.backend.port, "obs-backend")
    if host.kafka is not None:
        yield from (Port(number, "kafka") for number in _kafka_ports(host))
    if "mysql" in host.groups:
        yield Port(fleet.database.port, fleet.database.service or "mysqld")
    if "consumer" in host.groups:
        yield Port(fleet.consumer.metrics_port, "obsctl-consumer")
        yield Port(fleet.alerter.metrics_port, "obsctl-alerter")
    if host.console is not None:
        yield Port(host.console.port, "obsctl-console")


def _kafka_ports(host: Host) -> Iterator[int]:
    if host.kafka is not None:
        if "broker" in host.kafka.roles:
            yield from dict.fromkeys((host.kafka.broker_port, host.kafka.replication_port))
        yield from [host.kafka.controller_port] if "controller" in host.kafka.roles else []


class Need(NamedTuple):
    """A connection from one host to another."""

    to: Host
    port: int
    purpose: str


def paths_of(fleet: Fleet, host: Host) -> Iterator[Need]:
    """Yield the connections to other hosts that the services of a host will open."""
    others = [other for other in fleet.hosts if other.name != host.name]
    groups = set(host.groups)
    for other in others:
        if other.backend is not None and "lb" in groups:
            yield Need(other, other.backend.port, "back end")
        if other.kafka is not None and "broker" in other.kafka.roles and groups & {"filebeat", "consumer", "kafka"}:
            yield Need(other, other.kafka.broker_port, "Kafka broker")
            if "kafka" in groups and other.kafka.replication_port != other.kafka.broker_port:
                yield Need(other, other.kafka.replication_port, "replication between Kafka brokers")
        if other.kafka is not None and "controller" in other.kafka.roles and "kafka" in groups:
            yield Need(other, other.kafka.controller_port, "Kafka controller")
        if "mysql" in other.groups and "consumer" in groups:
            yield Need(other, fleet.database.port, "database")
