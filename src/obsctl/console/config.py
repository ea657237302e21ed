"""Reads and checks ``console.yml``; every error is reported with its place in the file.

A setting that the role always writes has no default here, only in the role.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import msgspec

from obsctl.console.people.roles import Role
from obsctl.core.config_file import ConfigFile, InvalidValueError
from obsctl.core.kafka_section import KafkaSection, Topics
from obsctl.core.settings import Name, Port, Section, networks_of, zone_of
from obsctl.fleet.load import SYSTEM_FLEET
from obsctl.lines.client_address import TrustedProxies
from obsctl.store.settings import Database

Language = Literal["en", "zh"]
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class ListenConfig(Section, frozen=True, kw_only=True):
    """Where the console is served.

    Attributes:
        certificate: PEM file with the certificate and its intermediates; empty for http, which is only for a proxy on
            the same host.
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


class OidcConfig(Section, frozen=True, kw_only=True):
    """An OpenID Connect provider through which people may log in, besides passwords.

    Attributes:
        issuer: the provider's issuer identifier, exactly as it writes it.
        client_id: the console's client id at the provider.
        client_secret: a reference (``file:/path`` or ``env:NAME``), never a value.
        url: of this console, without a path: where the provider sends browsers back to.
        name: of the provider, for people.
        scopes: the requested scopes.
        name_claim: the claim with the name of the console's user.
        groups_claim: the claim that lists a person's groups.
        roles: group to the role of its members, which then applies at each login; empty if roles are managed in the
            console.
        required_group: the group whose members may log in; empty for everybody.
        create_users: whether a user is created for a person without one at the first login.
        ca_file: PEM file of the authorities to trust for the provider's certificate; empty for this machine's.
    """

    issuer: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    client_id: Name
    client_secret: Annotated[str, msgspec.Meta(pattern="^(file|env):.")]
    url: Name
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=40)] = "OpenID Connect"
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    name_claim: Name = "preferred_username"
    groups_claim: Name = "groups"
    roles: dict[str, str] = msgspec.field(default_factory=dict)
    required_group: str = ""
    create_users: bool = False
    ca_file: str = ""

    @property
    def redirect_uri(self) -> str:
        """Where the provider sends browsers back to: a fixed address, whatever a request's Host header says."""
        return f"{self.url}/login/oidc/callback"

    @property
    def role_of_group(self) -> dict[str, Role]:
        """The roles by group."""
        return {group: Role(role) for group, role in self.roles.items()}


class PeopleConfig(Section, frozen=True, kw_only=True):
    """Other ways to identify people, besides passwords.

    Attributes:
        oidc: None if nobody logs in by OpenID Connect.
        trusted_proxies: networks and addresses of proxies that authenticate people. Their ``X-Forwarded-For`` is
            believed.
        trusted_header: the header in which they name the user; empty for none. They must remove it from incoming
            requests.
    """

    oidc: OidcConfig | None = None
    trusted_proxies: tuple[str, ...] = ()
    trusted_header: Annotated[str, msgspec.Meta(pattern="^([A-Za-z][A-Za-z0-9-]*)?$", max_length=64)] = ""

    @property
    def proxies(self) -> TrustedProxies:
        """The trusted proxies."""
        return TrustedProxies(networks_of(self.trusted_proxies, "people.trusted_proxies"))


class SearchConfig(Section, frozen=True, kw_only=True):
    """What a search may cost.

    Attributes:
        at_once: the most searches that run at the same time; a further one is refused.
        seconds: time limit of a search.
    """

    at_once: Annotated[int, msgspec.Meta(ge=1, le=200)] = 10
    seconds: Annotated[int, msgspec.Meta(ge=1, le=600)] = 60

    @property
    def each(self) -> int:
        """The most searches of one person at the same time: a third, but two for a page whose last one still ends."""
        return max(2, self.at_once // 3)


class KafkaConfig(KafkaSection, frozen=True, kw_only=True):
    """The Kafka cluster with the topics of lines and of the alerters."""

    topics: Topics


class LiveConfig(Section, frozen=True, kw_only=True):
    """Limits of live views.

    Attributes:
        at_once: the most live tails and live statistics that are open at the same time; a further one is refused.
        each: the most of one person.
    """

    at_once: Annotated[int, msgspec.Meta(ge=1, le=400)] = 200
    each: Annotated[int, msgspec.Meta(ge=1, le=400)] = 20


class FleetConfig(Section, frozen=True, kw_only=True):
    """The fleet that the overview shows, and whose alert rules the console has.

    Attributes:
        document: file with the fleet as ``obsctl`` reads it, written by the role ``consumer``.
        host: the name of this host in it; empty if the overview should not check this host itself.
    """

    document: Name = str(SYSTEM_FLEET)
    host: str = ""


class ReplayConfig(Section, frozen=True, kw_only=True):
    """The database account that moves lines out of the quarantine; the console's own account may not write lines.

    Attributes:
        password: a reference (``file:/path`` or ``env:NAME``), never a value.
    """

    user: Name
    password: Annotated[str, msgspec.Meta(pattern="^(file|env):.")]


class RedisConfig(Section, frozen=True, kw_only=True):
    """The Redis to which the live statistics are written for other programs.

    Attributes:
        url: a reference (``file:/path`` or ``env:NAME``) to a ``redis://`` or ``rediss://`` URL, which contains the
            password.
        prefix: the beginning of all keys' names, before a colon; two fleets in one database need different ones.
        keep_s: how long the numbers of a minute are kept, seconds.
        ca_file: PEM file of authorities to trust for ``rediss://``, besides the system's.
    """

    url: Annotated[str, msgspec.Meta(pattern="^(file|env):.")]
    prefix: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_.:-]{1,64}$")] = "obsctl"
    keep_s: Annotated[int, msgspec.Meta(ge=120, le=7 * 86400)] = 3600
    ca_file: str = ""


class ConsoleConfig(Section, frozen=True, kw_only=True):
    """What console.yml says.

    Attributes:
        database: connection of the account that reads lines and writes the console's own tables.
        kafka: the cluster; None if this console has no access to it, and so no live views and no alerts.
        redis: None if the live statistics are only shown on their page.
        fleet: what the overview checks, and where the rules are.
        replay: None if lines of the quarantine can only be replayed by ``obsctl consumer replay``.
        trusted_proxies: networks whose X-Forwarded-For is believed, as the consumer does; by default none.
        error_log_timezone: IANA zone of the error logs' times, which do not name it.
        timezone: for times that are shown and entered.
        language: of the pages, until a person chooses another one.
    """

    listen: ListenConfig
    database: Database
    session: SessionConfig = SessionConfig()
    search: SearchConfig = SearchConfig()
    people: PeopleConfig = PeopleConfig()
    kafka: KafkaConfig | None = None
    live: LiveConfig = LiveConfig()
    redis: RedisConfig | None = None
    fleet: FleetConfig = FleetConfig()
    replay: ReplayConfig | None = None
    trusted_proxies: tuple[str, ...] = ()
    error_log_timezone: str = "UTC"
    timezone: str = "UTC"
    language: Language = "en"

    @property
    def zone(self) -> ZoneInfo:
        """The time zone."""
        return ZoneInfo(self.timezone)


def load(path: Path) -> ConsoleConfig:
    """Read console.yml.

    Raises:
        ConfigError: the file cannot be read, or a value cannot work; names file, line and key.
    """
    file = ConfigFile(path)
    config = file.to(ConsoleConfig)
    try:
        _check(config)
    except InvalidValueError as fault:
        raise file.error(fault) from None
    return config


def _check(config: ConsoleConfig) -> None:
    zone_of(config.timezone, "timezone")
    zone_of(config.error_log_timezone, "error_log_timezone")
    networks_of(config.trusted_proxies, "trusted_proxies")
    networks_of(config.people.trusted_proxies, "people.trusted_proxies")
    if config.people.trusted_header and not config.people.trusted_proxies:
        raise InvalidValueError(
            "people.trusted_header",
            "no trusted proxy is configured that could send it",
            hint="name the proxies in people.trusted_proxies",
        )
    if config.redis is not None and config.kafka is None:
        raise InvalidValueError(
            "redis",
            "there is nothing to write: live statistics need the section kafka",
            hint="add the section kafka",
        )
    if config.people.oidc is not None:
        _check_oidc(config.people.oidc)
    listen = config.listen
    if bool(listen.certificate) != bool(listen.key):
        missing = "key" if listen.certificate else "certificate"
        raise InvalidValueError(f"listen.{missing}", "certificate and key are given both or not at all")
    if not listen.certificate and listen.address not in _LOOPBACK:
        raise InvalidValueError(
            "listen.address",
            f"passwords would cross the network unencrypted on {listen.address}",
            hint="give listen.certificate and listen.key, or listen on 127.0.0.1 behind a proxy with TLS",
        )


def _check_oidc(oidc: OidcConfig) -> None:
    for key, text in (("issuer", oidc.issuer), ("url", oidc.url)):
        if not is_safe_url(text):
            raise InvalidValueError(
                f"people.oidc.{key}",
                f"{text!r} is not an address of https",
                hint="write https://HOST or https://HOST:PORT; http is allowed only for 127.0.0.1 and localhost",
            )
    if urlsplit(oidc.issuer).query or not oidc.issuer.isascii():
        raise InvalidValueError(
            "people.oidc.issuer",
            f"{oidc.issuer!r} cannot be an issuer",
            hint="write what the provider's /.well-known/openid-configuration says as issuer",
        )
    if urlsplit(oidc.url).path or urlsplit(oidc.url).query:
        raise InvalidValueError("people.oidc.url", f"{oidc.url!r} has a path", hint="leave out what follows the host")
    if "openid" not in oidc.scopes:
        raise InvalidValueError("people.oidc.scopes", "openid is missing", hint="add openid to them")
    for group, role in oidc.roles.items():
        if role not in list(Role):
            raise InvalidValueError(
                f"people.oidc.roles.{group}",
                f"{role!r} is no role",
                hint=f"write {', '.join(Role)}",
            )


def is_safe_url(text: str) -> bool:
    """Whether a text is a URL whose traffic nobody else can read or change: https, or on this host."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    clean = text.isprintable() and " " not in text and not parts.fragment and "@" not in parts.netloc
    return safe and clean and bool(parts.hostname)
