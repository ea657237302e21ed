"""The layers of the pipeline: where each runs, whether it answered, and which ones a finding is about. Pure."""

from __future__ import annotations

from typing import NamedTuple

from obsctl.checks.health.snapshot import HealthSnapshot
from obsctl.core.report import Fault, Finding
from obsctl.fleet.model import Fleet, Host


class Layer(NamedTuple):
    """One row of the screen.

    Attributes:
        groups: of the hosts on which it runs; a fault of one of these hosts is the layer's fault, too.
        needed_by: groups that cannot work without it.
    """

    name: str
    groups: tuple[str, ...]
    needed_by: tuple[str, ...] = ()

    def hosts(self, fleet: Fleet) -> list[Host]:
        """Return the hosts on which it runs; the console is optional in its group."""
        return [
            host
            for host in fleet.hosts
            if not set(self.groups).isdisjoint(host.groups) and (self.name != CONSOLE or host.console is not None)
        ]


#: The console's unit and layer.
CONSOLE = "obsctl-console"

#: In the order in which a line passes them.
LAYERS = (
    Layer("vip", ("lb",)),
    Layer("nginx", ("lb",)),
    Layer("obs-backend", ("backend",), ("lb",)),
    Layer("filebeat", ("filebeat",)),
    Layer("kafka", ("kafka",), ("filebeat", "consumer")),
    Layer("consumer", ("consumer",)),
    Layer("alerter", ("consumer",)),
    Layer(CONSOLE, ("consumer",)),
    Layer("database", ("mysql",), ("consumer",)),
)
#: The hosts themselves, as a row before the layers; a layer is judged by what it does, not by its host's disks.
HOSTS = "hosts"
#: The layers whose daemon has a health page, each with the daemon's unit.
PAGED = {"consumer": "obsctl-consumer", "alerter": "obsctl-alerter"}
#: Layers by the beginning of a code.
_LAYER_OF_CODE = {
    "VIP_": "vip",
    "LB_": "vip",
    "LOGS_": "filebeat",
    "KAFKA_": "kafka",
    "CONSUMER_": "consumer",
    "HEALTH_CONSUMER_": "consumer",
    "HEALTH_ALERTER_": "alerter",
    "HEALTH_DATABASE_": "database",
    "HEALTH_QUARANTINE_": "database",
    "HEALTH_CATCH_ALL_": "database",
    "HEALTH_BACKEND_": "obs-backend",
}
#: Units that belong to a layer with another name.
LAYER_OF_UNIT = {"keepalived": "vip", "mysql": "database", "backend": "obs-backend"}


def expected(fleet: Fleet, layer: Layer) -> bool:
    """Return whether the fleet should have a layer: it has hosts of it, or of groups that cannot work without it."""
    return bool(layer.hosts(fleet)) or any(fleet.group(group) for group in layer.needed_by)


def seen(snapshot: HealthSnapshot, layer: str) -> bool:
    """Return whether the snapshot has any answer about the layer."""
    parts = {"vip": snapshot.vip, "kafka": snapshot.kafka, "database": snapshot.database}
    if layer in parts:
        return parts[layer] is not None
    if any(layer in probe.units or layer in probe.pages for probe in snapshot.hosts):
        return True
    nginx = snapshot.vip is not None and any(not node.nginx_failure for node in snapshot.vip.nodes)
    return (layer == "nginx" and nginx) or (layer == "obs-backend" and any(b.status for b in snapshot.backends))


def on_host(fleet: Fleet, host: str) -> list[Layer]:
    """Return the layers that a host is part of, by its name."""
    known = fleet.host(host)
    return [layer for layer in LAYERS if known is not None and known in layer.hosts(fleet)]


def about(fleet: Fleet, entry: Finding | Fault) -> tuple[str, ...]:
    """Return the layers that a finding or a fault is about: a host's fault concerns everything that runs there."""
    for prefix, layer in _LAYER_OF_CODE.items():
        if entry.code.startswith(prefix):
            return (layer,)
    kind, _, name = entry.object.partition("/")
    if kind == "host":
        return tuple(layer.name for layer in on_host(fleet, name))
    if kind == fleet.database.service:
        return ("database",)
    return (name,) if kind == "layer" else (LAYER_OF_UNIT.get(kind, kind),)
