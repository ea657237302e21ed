"""Other services: whatever the library apprise can notify, by its URL.

Each message is sent by a process of its own that loads Apprise (``python -m obsctl.alerter.channels.apprise``): it can
be killed at its deadline, it follows no redirect whatever the URL says, and its log output stays in that process.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import ssl
import subprocess
import sys
from typing import Annotated, Any, ClassVar
from urllib.parse import unquote

from msgspec import Meta, Struct

from obsctl.alerter.channels.channel import SECRET, ChannelOptions, Resolve
from obsctl.alerter.channels.outcome import Delivery, Verdict
from obsctl.alerter.messages.message import Message
from obsctl.core.decoding import UndecodableError, decode_json
from obsctl.core.errors import ConfigError
from obsctl.core.secrets import Secret, redact

#: Time limit for one message, including loading the library, seconds.
_TOTAL_S = 15.0
#: How apprise's plugins write the HTTP status that made them fail.
_STATUS = re.compile(r"\berror=(\d{3})\b")
_SCHEMA = re.compile(r"([A-Za-z0-9.+-]{1,30})://.")
#: Shorter pieces of a URL are words such as "json" and "api".
_SHORTEST_PIECE = 4
_LOOK = "check the service before sending again; the alerter itself resends it and marks it as a possible duplicate"


class _Outcome(Struct):
    """What the process reports.

    Attributes:
        known: whether apprise knows what the URL names.
        sent: apprise's own verdict.
        log: its warnings and errors.
    """

    known: bool
    sent: bool
    log: list[str]


class AppriseOptions(ChannelOptions, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="apprise"):
    """A service that the library apprise can notify."""

    token: Annotated[
        str,
        Meta(
            description="The service's URL in apprise's form (tgram://..., mailto://...), as a reference.",
            extra=SECRET,
        ),
    ]

    delivered: ClassVar[str] = "apprise reports that the service accepted it (it checks the HTTP status, not the body)"

    def open(self, resolve: Resolve) -> Apprise:
        """Read the URL."""
        if importlib.util.find_spec("apprise") is None:
            raise ConfigError(
                f"alert channel {self.name}: the library apprise is not installed here",
                hint="pip install 'obscraft[apprise]'; the role consumer installs it where a channel has this type",
            )
        url = resolve(self.token)
        found = _SCHEMA.match(url.reveal())
        if not found or not url.reveal().isprintable():
            raise ConfigError(
                f"alert channel {self.name}: {url.reference} does not contain an apprise URL",
                hint="it begins with the service's name: tgram://, mailto://, ...; see apprise's list of services",
            )
        return Apprise(self, url, found[1].lower())


class Apprise:
    """A service that the library apprise can notify.

    Args:
        options: the channel's.
        url: of the service; all of it is a secret.
        schema: the part of the URL before ``://``, the only part that is shown.
    """

    def __init__(self, options: AppriseOptions, url: Secret, schema: str) -> None:
        self._options = options
        self._url = url
        self._where = f"{schema}:// (apprise)"

    def payload(self, message: Message) -> dict[str, str]:
        """Return what apprise is given."""
        keyword = [self._options.keyword] if self._options.keyword else []
        return {"title": message.title, "body": "\n".join((*message.lines, *keyword)) or message.title}

    def preview(self, message: Message) -> dict[str, Any]:
        """Return what :meth:`send` would do, without any secret."""
        return {"url": self._where.replace("://", "://***", 1), **self.payload(message)}

    def send(self, message: Message) -> Delivery:
        """Have apprise send the message once and judge what it says."""
        asked = json.dumps({"url": self._url.reveal(), **self.payload(message)})
        try:
            process = subprocess.run(
                [sys.executable, "-m", __name__],
                input=asked.encode(),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=_TOTAL_S,
                check=False,
            )
            outcome = decode_json(process.stdout, _Outcome)
        except subprocess.TimeoutExpired:
            return Delivery(
                Verdict.UNKNOWN,
                "",
                f"{self._where}: not done within {_TOTAL_S:g} s; the message may or may not have arrived",
                _LOOK,
            )
        except (OSError, UndecodableError):
            return Delivery(Verdict.UNKNOWN, "", f"{self._where}: apprise exited without a result", _LOOK)
        return self._judge(outcome)

    def _judge(self, outcome: _Outcome) -> Delivery:
        log = "; ".join(outcome.log)
        said = hidden(log, self._url.reveal())[:300]
        if not outcome.known:
            return Delivery(
                Verdict.REFUSED,
                "",
                f"{self._where}: apprise does not understand the URL: {said!r}",
                "compare the URL with apprise's page on that service",
            )
        if outcome.sent:
            return Delivery(Verdict.DELIVERED, "sent", f"{self._where}: apprise reports that the service accepted it")
        status = _STATUS.search(log)
        if status is None:
            return Delivery(
                Verdict.UNKNOWN,
                "",
                f"{self._where}: apprise could not send: {said!r}",
                f"apprise's error says why; {_LOOK}",
            )
        code = int(status[1])
        verdict, hint = Verdict.REFUSED, "the service rejects the message: check the URL's tokens and apprise's error"
        if code == 429:
            verdict, hint = Verdict.THROTTLED, "too many messages: wait, or lower the channel's per_minute"
        elif code >= 500:
            verdict, hint = Verdict.UNREACHABLE, "the service is failing: try again later"
        elif 300 <= code < 400:
            verdict, hint = Verdict.REDIRECTED, "redirects are never followed: check the host in the URL"
        return Delivery(verdict, status[1], f"{self._where}: apprise could not send: {said!r}", hint)


def hidden(text: str, url: str) -> str:
    """Return a text without any piece of the URL: a token, an account and a host alike."""
    rest = url.partition("://")[2]
    pieces = {piece for part in (rest, unquote(rest)) for piece in re.split(r"[/?&=:@,#\s]+", part)}
    for piece in sorted(pieces, key=len, reverse=True):
        if len(piece) >= _SHORTEST_PIECE:
            text = text.replace(piece, "***")
    return redact(text)


def main() -> None:
    """Send the message that standard input contains, and write the outcome to standard output."""
    import logging

    paths = ssl.get_default_verify_paths()
    # Without this, requests would trust certifi's list instead of this machine's certificates.
    if bundle := paths.cafile or paths.capath:
        os.environ.setdefault("REQUESTS_CA_BUNDLE", bundle)
    import requests

    # Even if the URL says redirect=yes.
    requests.Session.get_redirect_target = lambda _self, _answer: None  # type: ignore[method-assign, assignment]
    import apprise

    log: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            log.append(record.getMessage())

    logger = logging.getLogger("apprise")
    logger.handlers, logger.propagate = [Keep(logging.WARNING)], False
    asked = json.load(sys.stdin)
    services = apprise.Apprise(asset=apprise.AppriseAsset(storage_mode="memory"))
    known = bool(services.add(asked["url"]))
    sent = known and bool(services.notify(title=asked["title"], body=asked["body"], body_format="text"))
    json.dump({"known": known, "sent": sent, "log": log}, sys.stdout)


if __name__ == "__main__":
    main()
