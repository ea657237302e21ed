"""Sends one marked message through each channel, and records the receiver's answer.

The channels are the alerter's own; they are passed as objects, because checks do not import daemons.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from obsctl.checks.ask.at_once import AtOnce
from obsctl.checks.channels.snapshot import Attempt, ChannelsSnapshot
from obsctl.core.secrets import Secret

#: How many channels are tried at the same time; the others wait.
_AT_ONCE = 8


class Delivery(Protocol):
    """The outcome of one attempt."""

    @property
    def verdict(self) -> str:
        """One of the alerter's verdicts."""

    @property
    def code(self) -> str:
        """The vendor's own code."""

    @property
    def summary(self) -> str:
        """What happened."""

    @property
    def hint(self) -> str:
        """What to do about it."""


class Opened(Protocol):
    """A channel with its secrets."""

    def send(self, message: Any, /) -> Delivery:
        """Try once to deliver."""

    def preview(self, message: Any, /) -> dict[str, Any]:
        """Return what would be sent, without any secret."""


class Channel(Protocol):
    """A channel as the inventory configures it."""

    @property
    def name(self) -> str:
        """Unique in the inventory."""

    @property
    def type(self) -> str:
        """Its kind."""

    def mentioned(self, message: Any, /) -> tuple[str, ...]:
        """Whom a message mentions."""

    def open(self, resolve: Callable[[str], Secret], /) -> Opened:
        """Read its secrets; raises ConfigError."""


def send_to_all(channels: Sequence[Channel], message: Any, resolve: Callable[[str], Secret]) -> ChannelsSnapshot:
    """Send the message once through each channel, all at the same time.

    Raises:
        ConfigError: a secret cannot be read; nothing has been sent then.
    """
    opened = [(channel, channel.open(resolve)) for channel in channels]
    with AtOnce(_AT_ONCE) as pool:
        return ChannelsSnapshot(attempts=tuple(pool.map(lambda pair: _try(pair[0], pair[1], message), opened)))


def preview_all(channels: Sequence[Channel], message: Any, resolve: Callable[[str], Secret]) -> list[dict[str, Any]]:
    """Return what :func:`send_to_all` would send, secrets masked; sends nothing.

    Raises:
        ConfigError: a secret cannot be read.
    """
    return [
        {
            "name": channel.name,
            "type": channel.type,
            "mentions": list(channel.mentioned(message)),
            "request": channel.open(resolve).preview(message),
        }
        for channel in channels
    ]


def _try(channel: Channel, opened: Opened, message: Any) -> Attempt:
    started = time.monotonic()
    delivery = opened.send(message)
    return Attempt(
        name=channel.name,
        type=channel.type,
        verdict=str(delivery.verdict),
        code=delivery.code,
        summary=delivery.summary,
        hint=delivery.hint,
        mentions=channel.mentioned(message),
        took_ms=round((time.monotonic() - started) * 1000),
    )
