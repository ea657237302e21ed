"""The channels: from the inventory's list of dictionaries to objects that can send.

A new kind of channel is a class with :class:`Channel`'s methods, a Struct for its options, and one entry in
``_KINDS``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from obsctl.alerter.channels.dingtalk import DingTalk
from obsctl.alerter.channels.smtp import Smtp
from obsctl.alerter.channels.webhook import Webhook
from obsctl.alerter.delivery import Delivery
from obsctl.alerter.message import Message
from obsctl.core.errors import ConfigError
from obsctl.core.secrets import Secret

#: Reads a reference such as ``file:/path``; raises ConfigError.
Resolve = Callable[[str], Secret]

#: DingTalk takes 20 messages a minute; the margin keeps out of its 10 minutes of silence.
DEFAULT_PER_MINUTE = 18


class Channel(Protocol):
    """What delivers a message."""

    name: str

    def send(self, message: Message) -> Delivery:
        """Try once to deliver; never raises for what the other side does."""

    def preview(self, message: Message) -> dict[str, Any]:
        """Return what :meth:`send` would do, without any secret."""


class _Options(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Options of every channel."""

    name: str
    type: str
    per_minute: int = DEFAULT_PER_MINUTE
    keyword: str = ""

    def build(self, resolve: Resolve) -> Channel:
        raise NotImplementedError


class _DingTalkOptions(_Options, kw_only=True, forbid_unknown_fields=True):
    url: str
    token: str
    secret: str = ""

    def build(self, resolve: Resolve) -> Channel:
        secret = resolve(self.secret) if self.secret else None
        return DingTalk(self.name, self.url, resolve(self.token), secret, self.keyword)


class _WebhookOptions(_Options, kw_only=True, forbid_unknown_fields=True):
    url: str
    token: str = ""

    def build(self, resolve: Resolve) -> Channel:
        return Webhook(self.name, self.url, resolve(self.token) if self.token else None, self.keyword)


class _SmtpOptions(_Options, kw_only=True, forbid_unknown_fields=True):
    host: str
    sender: str
    recipients: list[str]
    port: int = 25
    username: str = ""
    password: str = ""
    starttls: bool = False

    def build(self, resolve: Resolve) -> Channel:
        if not self.recipients:
            raise ConfigError(f"alert channel {self.name}: recipients is empty")
        for address in (self.sender, *self.recipients):
            if not _is_plain(address):
                raise ConfigError(
                    f"alert channel {self.name}: {address!r} is no address that every mail server takes",
                    hint="write NAME@DOMAIN in ASCII, without a blank and without the person's name",
                )
        if not _is_host(self.host) or not 0 < self.port < 65536:
            raise ConfigError(f"alert channel {self.name}: {self.host}:{self.port} is no mail server's host and port")
        if bool(self.username) != bool(self.password):
            raise ConfigError(f"alert channel {self.name}: username and password belong together")
        if self.password and not self.starttls:
            raise ConfigError(
                f"alert channel {self.name}: a password would cross the network in clear",
                hint="set starttls: true, or leave username and password out",
            )
        password = resolve(self.password) if self.password else None
        for part, value in (("username", self.username), ("password", password.reveal() if password else "")):
            if not value.isascii():
                raise ConfigError(
                    f"alert channel {self.name}: the {part} holds characters beyond ASCII, which not every mail "
                    "server takes",
                    hint="give the mail account another one",
                )
        return Smtp(
            self.name,
            host=self.host,
            port=self.port,
            sender=self.sender,
            recipients=self.recipients,
            username=self.username,
            password=password,
            starttls=self.starttls,
            keyword=self.keyword,
        )


def _is_plain(address: str) -> bool:
    return bool(address) and address.isascii() and address.isprintable() and not set(address) & set(" <>")


def _is_host(name: str) -> bool:
    try:
        name.encode("idna")
    except UnicodeError:
        return False
    return bool(name)


_KINDS: dict[str, type[_Options]] = {
    "dingtalk": _DingTalkOptions,
    "webhook": _WebhookOptions,
    "smtp": _SmtpOptions,
}


@dataclass(frozen=True)
class ChannelSpec:
    """A channel as configured, with its secrets still references.

    Attributes:
        name: unique in the list.
        type: dingtalk, webhook or smtp.
        per_minute: messages that may be sent within any 60 seconds.
    """

    name: str
    type: str
    per_minute: int
    _options: _Options

    def open(self, resolve: Resolve) -> Channel:
        """Read the secrets and return the channel.

        Raises:
            ConfigError: a secret cannot be read or an option makes no sense.
        """
        return self._options.build(resolve)


def parse_channels(entries: Iterable[Mapping[str, Any]], where: str) -> list[ChannelSpec]:
    """Check the list ``channels`` and return it as specifications.

    Args:
        entries: the dictionaries of the inventory or of alerter.yml.
        where: named in errors.

    Raises:
        ConfigError: an unknown type or option, one missing, or a name used twice.
    """
    specs: list[ChannelSpec] = []
    for number, entry in enumerate(entries):
        place = f"{where}: channels[{number}] ({entry.get('name', 'without name')})"
        kind = _KINDS.get(str(entry.get("type")))
        if kind is None:
            raise ConfigError(f"{place}: type must be one of {', '.join(_KINDS)}")
        try:
            options = msgspec.convert(dict(entry), kind)
        except msgspec.ValidationError as error:
            raise ConfigError(f"{place}: {error}") from None
        if options.per_minute < 2:
            raise ConfigError(f"{place}: per_minute must be at least 2 (one message and one digest)")
        if not options.keyword.isprintable():
            raise ConfigError(f"{place}: keyword must be one line of printable text")
        if any(spec.name == options.name for spec in specs):
            raise ConfigError(f"{place}: the name is used twice")
        specs.append(ChannelSpec(options.name, options.type, options.per_minute, options))
    return specs
