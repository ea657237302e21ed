"""Reads and checks ``alerter.yml``; every error is reported with its place in the file.

A setting that the role always writes has no default here, only in the role.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from obsctl.alerter.channels import registry as channel_kinds
from obsctl.alerter.channels.channel import ChannelOptions
from obsctl.alerter.evaluation.tolerances import AHEAD_S, LATENESS_S, SHIPPING_S
from obsctl.alerter.messages.templates import Language, Templates
from obsctl.alerter.notify.of_rules import notification_plan
from obsctl.alerter.notify.options import NotifyOptions
from obsctl.alerter.notify.plan import Plan
from obsctl.alerter.rules import registry as rule_kinds
from obsctl.alerter.rules.rule import Rule
from obsctl.core.config_file import ConfigFile, InvalidValueError
from obsctl.core.errors import ConfigError
from obsctl.core.kafka_section import KafkaSection, Topics
from obsctl.core.settings import Name, Network, Port, Section, networks_of, zone_of

_Seconds = Annotated[int, Meta(ge=0)]


class KafkaConfig(KafkaSection, frozen=True, kw_only=True):
    """Where the lines come from.

    Attributes:
        group: positions are committed under this name, for lag display only; of the alerters with the same name one is
            active.
        member: name of this alerter, different on each host.
    """

    group: Name
    member: Name
    topics: Topics


class HealthConfig(Section, frozen=True, kw_only=True):
    """Where /health and /metrics are served."""

    address: Name
    port: Port


class SourceConfig(Section, frozen=True, kw_only=True):
    """A page with numbers of the pipeline.

    Attributes:
        name: the value of the label ``source`` of its numbers; not ``alerter``, which are the alerter's own.
        url: ``http://HOST[:PORT]/PATH``, in Prometheus' text format.
    """

    name: Name
    url: Name


class MetricsConfig(Section, frozen=True, kw_only=True):
    """Where rules of the kind ``metric`` get their numbers from.

    Attributes:
        every_s: seconds from one reading to the next.
        sources: the pages, besides the alerter's own numbers.
        certificates: files (PEM) and ports (``HOST:PORT``); the remaining days of each file's first certificate, and
            of what each port presents, are a number of the alerter.
    """

    every_s: Annotated[int, Meta(ge=1, le=300)] = 10
    sources: tuple[SourceConfig, ...]
    certificates: tuple[Name, ...] = ()


class HeartbeatConfig(Section, frozen=True, kw_only=True):
    """An external dead man's switch: it raises an alarm when it has received no request for a while.

    Attributes:
        url: a reference to the URL, which is a secret: anybody who has it can send false heartbeats.
        every_s: seconds between two requests.
        method: of the request.
        proxy: URL of a proxy; empty for what the environment says.
        ca_file: certificate authorities to trust; empty for this machine's.
    """

    url: Name
    every_s: Annotated[int, Meta(ge=10, le=3600)] = 60
    method: Literal["GET", "POST"] = "GET"
    proxy: str = ""
    ca_file: str = ""


class _File(Section, frozen=True, kw_only=True):
    kafka: KafkaConfig
    state: Name
    rules: list[dict[str, Any]]
    channels: list[dict[str, Any]]
    health: HealthConfig
    metrics: MetricsConfig
    heartbeat: HeartbeatConfig | None = None
    lateness_s: _Seconds = LATENESS_S
    ahead_s: _Seconds = AHEAD_S
    shipping_s: _Seconds = SHIPPING_S
    trusted_proxies: tuple[str, ...]
    error_log_timezone: str
    native: bool
    notifications: NotifyOptions = NotifyOptions()
    timezone: str = "UTC"
    language: Language
    templates: str = ""


class AlerterConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What alerter.yml says.

    Attributes:
        kafka: where the lines come from.
        state: the SQLite file.
        rules: in the file's order.
        channels: with their secrets still references.
        health: where /health is served.
        metrics: where the pipeline's own numbers come from.
        heartbeat: the external switch that notices when this alerter stops working; None for none.
        lateness_s: lines older than this do not count, seconds.
        ahead_s: lines further in the future than this do not count, seconds.
        shipping_s: how long a line may take from the log file to Kafka, seconds.
        trusted_proxies: networks whose X-Forwarded-For is believed; by default none.
        notifications: who is notified of an alert, how often, and when not.
        templates: of the messages, in their language and with times in their zone.
        error_log_timezone: IANA zone of the error logs' times, which do not name it.
        native: whether records are read by the native module where it is installed.
    """

    kafka: KafkaConfig
    state: Path
    rules: tuple[Rule, ...]
    channels: tuple[ChannelOptions, ...]
    health: HealthConfig
    metrics: MetricsConfig
    heartbeat: HeartbeatConfig | None
    lateness_s: int
    ahead_s: int
    shipping_s: int
    trusted_proxies: tuple[Network, ...]
    notifications: Plan
    templates: Templates
    error_log_timezone: str
    native: bool


def load(path: Path) -> AlerterConfig:
    """Read and check alerter.yml.

    Raises:
        ConfigError: the file cannot be read, is not YAML, or says something that cannot work.
    """
    file = ConfigFile(path)
    raw = file.to(_File)
    try:
        rules = tuple(rule_kinds.KINDS.read(raw.rules, "rules"))
        channels = tuple(channel_kinds.KINDS.read(raw.channels, "channels"))
        return AlerterConfig(
            kafka=raw.kafka,
            state=Path(raw.state),
            rules=rules,
            channels=channels,
            health=raw.health,
            metrics=_metrics(raw.metrics),
            heartbeat=raw.heartbeat,
            lateness_s=raw.lateness_s,
            ahead_s=raw.ahead_s,
            shipping_s=raw.shipping_s,
            trusted_proxies=networks_of(raw.trusted_proxies, "trusted_proxies"),
            templates=_templates(raw),
            error_log_timezone=str(zone_of(raw.error_log_timezone, "error_log_timezone")),
            native=raw.native,
            notifications=notification_plan(raw.notifications, rules, [channel.name for channel in channels]),
        )
    except InvalidValueError as fault:
        raise file.error(fault) from None


def _templates(raw: _File) -> Templates:
    zone = zone_of(raw.timezone, "timezone")
    try:
        return Templates(raw.language, zone, Path(raw.templates) if raw.templates else None)
    except ConfigError as error:
        raise InvalidValueError("templates", str(error), hint=error.hint) from None


def _metrics(config: MetricsConfig) -> MetricsConfig:
    names = {"alerter"}
    for number, source in enumerate(config.sources):
        key = f"metrics.sources[{number}]"
        if source.name in names:
            raise InvalidValueError(f"{key}.name", f"the name is used twice (of {source.name})")
        names.add(source.name)
        try:
            parts = urlsplit(source.url)
            usable = parts.scheme == "http" and parts.hostname and parts.port != 0 and "@" not in parts.netloc
        except ValueError:
            usable = False
        if not usable or " " in source.url or not (source.url.isascii() and source.url.isprintable()):
            raise InvalidValueError(f"{key}.url", f"must be http://HOST[:PORT]/PATH (of {source.name})")
    return config
