"""``alerter.yml``: read, checked, and every mistake named with its place."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import yaml

from obsctl.alerter.channels import ChannelSpec, parse_channels
from obsctl.alerter.rules import RequestsPerClient, Rule, Status4xx, Status5xxShare
from obsctl.core.errors import ConfigError
from obsctl.core.report import Severity
from obsctl.core.settings import Network

#: The longest window; all its seconds are kept for each client.
_LONGEST_WINDOW_S = 3600


class Topics(msgspec.Struct, forbid_unknown_fields=True):
    """The topics that are read."""

    access: str = "nginxlog"


class KafkaConfig(msgspec.Struct, forbid_unknown_fields=True):
    """Where the lines come from.

    Attributes:
        bootstrap: brokers as host:port.
        group: positions are committed under this name, for lag display only.
    """

    bootstrap: list[str]
    group: str = "obsctl-alerter"
    topics: Topics = msgspec.field(default_factory=Topics)


class HealthConfig(msgspec.Struct, forbid_unknown_fields=True):
    """Where /health and /metrics are served."""

    address: str = "127.0.0.1"
    port: int = 9601


class _RuleOptions(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    name: str
    severity: Severity = Severity.WARNING
    window_s: int = 60
    resolve_after_s: int = 30


class _RequestsPerClientOptions(_RuleOptions, kw_only=True, forbid_unknown_fields=True, tag=RequestsPerClient.kind):
    threshold: int
    ignore_clients: list[str] = []

    def rule(self, place: str) -> Rule:
        return RequestsPerClient(
            self.name,
            self.severity,
            self.window_s,
            self.resolve_after_s,
            self.threshold,
            _networks(self.ignore_clients, f"{place}: ignore_clients"),
        )


class _Status4xxOptions(_RuleOptions, kw_only=True, forbid_unknown_fields=True, tag=Status4xx.kind):
    threshold: int

    def rule(self, _place: str) -> Rule:
        return Status4xx(self.name, self.severity, self.window_s, self.resolve_after_s, self.threshold)


class _Status5xxShareOptions(_RuleOptions, kw_only=True, forbid_unknown_fields=True, tag=Status5xxShare.kind):
    share: float
    min_requests: int

    def rule(self, _place: str) -> Rule:
        return Status5xxShare(
            self.name, self.severity, self.window_s, self.resolve_after_s, self.share, self.min_requests
        )


_AnyRule = _RequestsPerClientOptions | _Status4xxOptions | _Status5xxShareOptions


class _File(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    kafka: KafkaConfig
    state: str
    rules: list[_AnyRule]
    channels: list[dict[str, Any]]
    health: HealthConfig = msgspec.field(default_factory=HealthConfig)
    lateness_s: int = 300
    ahead_s: int = 60
    shipping_s: int = 5
    trusted_proxies: list[str] = []


@dataclass(frozen=True)
class AlerterConfig:
    """What alerter.yml says.

    Attributes:
        kafka: where the lines come from.
        state: the SQLite file.
        rules: in the file's order.
        channels: with their secrets still references.
        health: where /health is served.
        lateness_s: lines older than this do not count, seconds.
        ahead_s: lines further in the future than this do not count, seconds.
        shipping_s: how long a line may take from the log file to Kafka, seconds.
        trusted_proxies: networks whose X-Forwarded-For is believed; by default none.
    """

    kafka: KafkaConfig
    state: Path
    rules: tuple[Rule, ...]
    channels: tuple[ChannelSpec, ...]
    health: HealthConfig
    lateness_s: int
    ahead_s: int
    shipping_s: int
    trusted_proxies: tuple[Network, ...]


def load_config(path: Path) -> AlerterConfig:
    """Read and check alerter.yml.

    Raises:
        ConfigError: the file cannot be read, is not YAML, or says something that cannot work.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, yaml.reader.ReaderError):
        raise ConfigError(f"{path}: is not text in UTF-8, or holds a control character") from None
    except RecursionError:
        raise ConfigError(f"{path}: is nested too deeply") from None
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{path}{line}: {error.problem}") from None
    try:
        raw = msgspec.convert(document, _File)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {error}") from None
    if not raw.kafka.bootstrap:
        raise ConfigError(f"{path}: kafka.bootstrap is empty")
    if min(raw.lateness_s, raw.ahead_s, raw.shipping_s) < 0:
        raise ConfigError(f"{path}: lateness_s, ahead_s and shipping_s must not be negative")
    return AlerterConfig(
        kafka=raw.kafka,
        state=Path(raw.state),
        rules=_rules(raw.rules, path),
        channels=tuple(parse_channels(raw.channels, str(path))),
        health=raw.health,
        lateness_s=raw.lateness_s,
        ahead_s=raw.ahead_s,
        shipping_s=raw.shipping_s,
        trusted_proxies=_networks(raw.trusted_proxies, f"{path}: trusted_proxies"),
    )


def _networks(entries: list[str], place: str) -> tuple[Network, ...]:
    networks: list[Network] = []
    for number, entry in enumerate(entries):
        try:
            networks.append(ipaddress.ip_network(entry))
        except ValueError as error:
            raise ConfigError(f"{place}[{number}]: {error}") from None
    return tuple(networks)


def _rules(entries: list[_AnyRule], path: Path) -> tuple[Rule, ...]:
    rules: dict[str, Rule] = {}
    for number, entry in enumerate(entries):
        place = f"{path}: rules[{number}] ({entry.name})"
        if entry.name in rules:
            raise ConfigError(f"{place}: the name is used twice")
        if not 1 <= entry.window_s <= _LONGEST_WINDOW_S:
            raise ConfigError(f"{place}: window_s must be 1 to {_LONGEST_WINDOW_S}")
        if entry.resolve_after_s < 1:
            raise ConfigError(f"{place}: resolve_after_s must be at least 1")
        if isinstance(entry, _Status5xxShareOptions):
            if not 0 < entry.share <= 1:
                raise ConfigError(f"{place}: share must be above 0 and at most 1 (0.05 is 5 %)")
            if entry.min_requests < 1:
                raise ConfigError(f"{place}: min_requests must be at least 1")
        elif entry.threshold < 1:
            raise ConfigError(f"{place}: threshold must be at least 1")
        rules[entry.name] = entry.rule(place)
    return tuple(rules.values())
