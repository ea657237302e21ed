"""Channels of each type of robot, and messages for them."""

from __future__ import annotations

import time
from typing import Any

from obsctl.alerter.channels.channel import Channel, ChannelOptions
from obsctl.alerter.channels.outcome import Delivery
from obsctl.alerter.channels.registry import parse_channels
from obsctl.alerter.messages.message import Kind, Message, channel_test
from obsctl.alerter.messages.templates import Templates
from obsctl.core.secrets import Secret

#: Searched for in everything that is written.
TOKEN = "tok-5c1f0e9a77b2"
SECRET = "SECd41a7790f"
VALUES = {"env:TOKEN": TOKEN, "env:SECRET": SECRET, "env:OTHER": "tok-other-11"}


def resolve(reference: str) -> Secret:
    return Secret(VALUES[reference], reference)


def options(type_: str, url: str, **more: object) -> ChannelOptions:
    """Return a channel that leads to the test's vendor."""
    (spec,) = parse_channels([{"name": "ops", "type": type_, "url": url, "token": "env:TOKEN", **more}], "test")
    return spec


def opened(type_: str, url: str, **more: object) -> Channel:
    return options(type_, url, **more).open(resolve)


def send(type_: str, url: str, message: Message | None = None, **more: object) -> Delivery:
    return opened(type_, url, **more).send(message or channel_test(time.time(), "app1", Templates()))


def alert(severity: str = "critical", kind: Kind = Kind.FIRING, lines: tuple[str, ...] = ("200 requests",)) -> Message:
    facts: dict[str, Any] = {"severity": severity}
    return Message(
        id="1", kind=kind, title=f"[{kind.upper()}] rule 203.0.113.9", lines=lines, cut="(cut here)", facts=facts
    )


#: A digest as a rule with a Chinese name and IPv6 keys makes it: more than 20,000 bytes.
LONG = alert(
    lines=tuple(f"[FIRING] {'请求过多' * 7}规 2001:db8:ffff:ffff:ffff:ffff:ffff:{number:04x}" for number in range(400))
)
