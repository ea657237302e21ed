"""``console.yml``: read, checked, and every mistake named with its place.

A setting that the role always writes has no default here, only in the role.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from obsctl.alerter.config import Topics
from obsctl.core.brokers import Brokers, SecuritySection
from obsctl.core.config_file import ConfigFile, InvalidValueError
from obsctl.core.settings import Name, Port, Section
from obsctl.fleet.load import SYSTEM_FLEET
from obsctl.store.settings import Database

Language = Literal["en", "zh"]


class ListenConfig(Section, frozen=True, kw_only=True):
    """Where the console is served.

    Attributes:
        certificate: PEM file, with the authorities between it and its root; empty for http, which is for a proxy on
            the same host alone.
        key: of the certificate.
    """

    address: Name
    port: Port
    certificate: str = ""
    key: str = ""


class SessionConfig(Section, frozen=True, kw_only=True):
    """How long a login lasts.

    Attributes:
        idle_s: seconds without a request after which it ends.
        lifetime_s: seconds after which it ends in any case.
    """

    idle_s: Annotated[int, msgspec.Meta(ge=60, le=30 * 86400)] = 12 * 3600
    lifetime_s: Annotated[int, msgspec.Meta(ge=60, le=90 * 86400)] = 7 * 86400


class SearchConfig(Section, frozen=True, kw_only=True):
    """What a search may cost.

    Attributes:
        at_once: searches that run at the same time; a further one is refused.
        seconds: of one search at most.
    """

    at_once: Annotated[int, msgspec.Meta(ge=1, le=200)] = 10
    seconds: Annotated[int, msgspec.Meta(ge=1, le=600)] = 60


class KafkaConfig(Section, frozen=True, kw_only=True):
    """Where the lines and the alerters' topics are.

    Attributes:
        bootstrap: brokers as ``HOST:PORT``.
        topics: as in alerter.yml.
        security: how the brokers are spoken to.
    """

    bootstrap: Annotated[tuple[Name, ...], msgspec.Meta(min_length=1)]
    topics: Topics
    security: SecuritySection = SecuritySection()

    @property
    def brokers(self) -> Brokers:
        """The brokers, with how they are spoken to."""
        return Brokers(self.bootstrap, self.security.settings())


class FleetConfig(Section, frozen=True, kw_only=True):
    """The fleet that the overview shows, and whose rules there are.

    Attributes:
        document: the fleet as ``obsctl`` reads it, which the role ``consumer`` writes.
        host: the name of this host there; empty for one that the overview does not ask about itself.
    """

    document: Name = str(SYSTEM_FLEET)
    host: str = ""


class ReplayConfig(Section, frozen=True, kw_only=True):
    """The account that moves lines out of the quarantine; the console's own may not write them.

    Attributes:
        password: a reference (``file:/path`` or ``env:NAME``), never a value.
    """

    user: Name
    password: Annotated[str, msgspec.Meta(pattern="^(file|env):.")]


class ConsoleConfig(Section, frozen=True, kw_only=True):
    """What console.yml says.

    Attributes:
        database: how it is reached, as the account that reads lines and writes the console's own tables.
        kafka: None for a console without alerts.
        fleet: what the overview looks at, and where the rules are.
        replay: None where lines of the quarantine are replayed by ``obsctl consumer replay`` alone.
        timezone: in which times are shown and read.
        language: of the pages, until a person chooses another.
    """

    listen: ListenConfig
    database: Database
    session: SessionConfig = SessionConfig()
    search: SearchConfig = SearchConfig()
    kafka: KafkaConfig | None = None
    fleet: FleetConfig = FleetConfig()
    replay: ReplayConfig | None = None
    timezone: str = "UTC"
    language: Language = "en"

    @property
    def zone(self) -> ZoneInfo:
        """The time zone."""
        return ZoneInfo(self.timezone)


def load(path: Path) -> ConsoleConfig:
    """Read console.yml.

    Raises:
        ConfigError: it cannot be read, or a value cannot work; names file, line and key.
    """
    file = ConfigFile(path)
    config = file.to(ConsoleConfig)
    try:
        _check(config)
    except InvalidValueError as fault:
        raise file.error(fault) from None
    return config


def _check(config: ConsoleConfig) -> None:
    try:
        _ = config.zone
    except (ZoneInfoNotFoundError, ValueError):
        raise InvalidValueError(
            "timezone", f"there is no time zone {config.timezone!r}", hint="write one such as Asia/Shanghai"
        ) from None
    listen = config.listen
    if bool(listen.certificate) != bool(listen.key):
        missing = "key" if listen.certificate else "certificate"
        raise InvalidValueError(f"listen.{missing}", "certificate and key are given both or not at all")
    if not listen.certificate and listen.address not in ("127.0.0.1", "localhost", "::1"):
        raise InvalidValueError(
            "listen.address",
            f"passwords would cross the network readable on {listen.address}",
            hint="give listen.certificate and listen.key, or listen on 127.0.0.1 behind a proxy with TLS",
        )
