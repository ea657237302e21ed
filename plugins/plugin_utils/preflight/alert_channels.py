# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""Alert channels: what obsctl-alerter would refuse at its start, checked before a host is touched.

The alerter's own checks are in ``obsctl`` (its package ``channels``), which the control node need not have; a contract
test fails where the two differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from ansible_collections.obscraft.fleet.plugins.filter.alert_channels import (
    SECRET_OPTIONS,
    channel_secrets,
    secret_file,
)
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.alert_entries import (
    Fault,
    Kind,
    mistyped,
    name_faults,
    option_faults,
)
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.model import Fleet, Problem

#: Options that a channel of any type takes.
COMMON = ("name", "type", "per_minute", "keyword")
#: What robots of all vendors take.
ROBOT = ("url", "proxy", "ca_file", "token", "robots", "at_user_ids", "at_severities", "at_all")
KINDS = {
    "dingtalk": Kind((), (*ROBOT, "secret", "at_mobiles")),
    "feishu": Kind((), (*ROBOT, "secret")),
    "wecom": Kind((), (*ROBOT, "at_mobiles")),
    "slack": Kind((), ROBOT),
    "webhook": Kind(("url",), ("proxy", "ca_file", "token", "secret", "success")),
    "smtp": Kind(("host", "sender", "recipients"), ("port", "tls", "ca_file", "username", "password")),
    "kafka": Kind(("bootstrap", "topic"), ("protocol", "ca_file", "mechanism", "username", "password")),
    "apprise": Kind(("token",), ()),
}
ROBOTS = ("dingtalk", "feishu", "wecom", "slack")
#: The token of these types goes into a header or an address, smtp's password into a command: printable ASCII only.
ON_THE_WIRE = (
    ("webhook", "token"),
    ("smtp", "password"),
    ("apprise", "token"),
    *((type_, "token") for type_ in ROBOTS),
)
#: NAME@DOMAIN, as every mail server takes it.
MAIL_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9.-]+\Z")
#: A host's name or its address.
MAIL_HOST = re.compile(r"[\w.-]+\Z|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*\Z")
#: What a url's query calls a secret.
SECRET_KEY = re.compile(r"(?i)token|secret|passw|sign")
#: Ports on which a mail channel encrypts unless tls says otherwise.
ENCRYPTED_PORTS = (465, 587)


def alert_channels(fleet: Fleet) -> Iterator[Problem]:
    for host, variables in fleet.group("consumer"):
        channels = variables.get("consumer_alert_channels") or []
        for channel in channels:
            for what, fix in _faults(channel):
                yield Problem(host, what, fix)
        for what, fix in name_faults("alert channel", channels):
            yield Problem(host, what, fix)
        heartbeat = variables.get("consumer_alert_heartbeat") or {}
        if heartbeat and not heartbeat.get("url"):
            yield Problem(
                host, "consumer_alert_heartbeat has no url", "set its url, or leave consumer_alert_heartbeat out"
            )
        for path, sharing in _shared_files(channels).items():
            yield Problem(
                host,
                f"the alert channels {' and '.join(sharing)} would keep their secrets in one file, {path}",
                "give them names that differ in their letters or digits",
            )


def _shared_files(channels: list[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return the files that secrets of several channels would go to, with the channels' names."""
    users: dict[str, list[str]] = {}
    for channel in channels:
        for option, _source in channel_secrets(channel):
            if channel.get("name") and str(channel["name"]) not in users.get(secret_file(channel, option), []):
                users.setdefault(secret_file(channel, option), []).append(str(channel.get("name")))
    return {path: names for path, names in users.items() if len(names) > 1}


def _faults(channel: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield (what is wrong, what to do) about one channel."""
    what, type_ = f"alert channel {channel.get('name')}", str(channel.get("type"))
    kind = KINDS.get(type_)
    # An unknown type is named by the role's own specification.
    if kind is None:
        return
    yield from option_faults(what, channel, COMMON, kind, f"the type {type_}")
    yield from mistyped(what, channel, but=SECRET_OPTIONS)
    if channel.get("per_minute") is not None and int(channel["per_minute"]) < 2:
        yield f"{what}: per_minute is {channel['per_minute']}", "set it to 2 or more: one message and one digest"
    if not str(channel.get("keyword") or "").isprintable():
        yield f"{what}: its keyword holds a line break or a control character", "write the keyword on one line"
    if channel.get("url"):
        yield from _url_faults(f"{what}: its url", str(channel["url"]))
        yield from _telling(what, str(channel["url"]), ("key",) if type_ == "wecom" else ())
    if channel.get("proxy"):
        yield from _url_faults(f"{what}: its proxy", str(channel["proxy"]))
        if "@" in str(channel["proxy"]):
            yield (
                f"{what}: its proxy contains a login, which would be in a file that all users may read",
                "leave proxy out, and set HTTPS_PROXY on the consumer's host: `systemctl edit obsctl-alerter`",
            )
    if type_ in ROBOTS:
        yield from _robot_faults(what, channel, signs="secret" in kind.others)
    if type_ == "smtp":
        yield from _mail_faults(what, channel)
    if type_ == "kafka":
        yield from _login_faults(what, channel)


def _login_faults(what: str, channel: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield where a Kafka channel's protocol and login contradict each other."""
    protocol = str(channel.get("protocol") or "PLAINTEXT")
    given = [name for name in ("username", "password") if channel.get(name)]
    if protocol.startswith("SASL_") and len(given) < 2:
        yield f"{what}: {protocol} needs username and password", "set both; the password as a reference"
    if given and not protocol.startswith("SASL_"):
        yield (
            f"{what}: with the protocol {protocol} there is no login",
            "set protocol: SASL_SSL, or leave username and password out",
        )


def _robot_faults(what: str, channel: Mapping[str, Any], *, signs: bool) -> Iterator[Fault]:
    """Yield what is wrong with a robot's secrets or with a pool of robots."""
    robots = [robot for robot in channel.get("robots") or [] if isinstance(robot, Mapping)]
    if not channel.get("token") and not channel.get("robots"):
        yield f"{what} has no token", "give the robot's token, or robots for several of the same group"
    if channel.get("token") and channel.get("robots"):
        yield f"{what} has both token and robots", "give token for one robot, robots for several of the same group"
    if channel.get("secret") and channel.get("robots"):
        yield f"{what} has both secret and robots", "write each robot's secret beside its token, in robots"
    if not signs and any(robot.get("secret") for robot in robots):
        yield f"{what}: robots hold a secret, but this vendor's robots are not signed", "leave secret out"


def _url_faults(what: str, url: str) -> Iterator[Fault]:
    fix = "write https://HOST[:PORT]/PATH"
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname or "", parts.port
        host.encode("idna")
    except ValueError:
        # The parser's message may contain a part of the url, which may be a secret.
        yield f"{what} has no valid host or port", fix
        return
    if parts.scheme not in ("http", "https") or not host:
        yield f"{what} does not begin with https:// or http:// and a host", fix
    elif " " in url or not url.isprintable():
        yield f"{what} contains a space or a control character", fix


def _telling(what: str, url: str, also: Sequence[str]) -> Iterator[Fault]:
    """Yield that a url carries a secret; ``also`` names what this type calls its secret."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return
    keys = [key for key, _value in parse_qsl(parts.query, keep_blank_values=True)]
    telling = [key for key in keys if SECRET_KEY.search(key) or key in also]
    if telling or parts.password:
        yield (
            f"the url of {what} contains its {', '.join(telling) or 'password'}: it would be in a file that all "
            "users may read",
            "remove it from the url and give it in the option token or secret, as a reference",
        )


def _mail_faults(what: str, channel: Mapping[str, Any]) -> Iterator[Fault]:
    host, port = str(channel.get("host") or ""), int(channel.get("port") or 25)
    if host and not MAIL_HOST.match(host):
        # The value may be a whole url, with a password before the host.
        shown = host.rpartition("@")[2]
        yield f"{what}: host is {shown!r}, not a mail server's name", "write the name alone; the port goes into port"
    if channel.get("port") is not None and not 0 < int(channel["port"]) < 2**16:
        yield f"{what}: port is {channel['port']}, not between 1 and 65535", "587, 465 or 25 is usual"
    given = [("sender", channel.get("sender"))]
    given += [("recipients", address) for address in channel.get("recipients") or []]
    for option, address in given:
        if address and not MAIL_ADDRESS.match(str(address)):
            yield (
                f"{what}: {option} has {str(address)!r}, not a plain mail address",
                "write NAME@DOMAIN in ASCII, without the person's name; each recipient is an entry of the list",
            )
    if bool(channel.get("username")) != bool(channel.get("password")):
        there, absent = ("username", "password") if channel.get("username") else ("password", "username")
        yield f"{what} has {there} but no {absent}", f"set {absent}, or leave both out"
    if not str(channel.get("username") or "").isascii():
        yield f"{what}: username holds characters beyond ASCII", "give the mail account a name in ASCII"
    tls = channel.get("tls") or ("by port" if port in ENCRYPTED_PORTS else "none")
    if channel.get("password") and tls == "none":
        yield (
            f"{what} has a password but no tls: the password would be sent unencrypted",
            "set tls: starttls (or implicit), or leave username and password out",
        )
