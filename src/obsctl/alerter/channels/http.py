"""How channels post JSON: one connection set-up, no redirects, one deadline, and no secret in any error."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec

from obsctl.alerter.delivery import Delivery, Verdict
from obsctl.core.deadline import Deadline
from obsctl.core.errors import ConfigError
from obsctl.core.secrets import redact

#: Seconds; the total bounds everything from connecting to the answer's last byte.
CONNECT_TIMEOUT_S = 3.0
TOTAL_TIMEOUT_S = 5.0
#: Robots answer with a few hundred bytes; more is not read.
_LONGEST_ANSWER = 64 * 1024
#: What may stand in a request's target as it is.
_TARGET = "/?:@!$&'()*+,;=%~"
_HEADERS = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "obsctl", "Connection": "close"}


@dataclass(frozen=True)
class Answer:
    """An HTTP answer.

    Attributes:
        status: HTTP status.
        body: the first 64 KiB.
        location: scheme and host that a redirect points to, empty where it names none.
        clock_skew_s: the server's ``Date`` minus this machine's clock, seconds; None without the header.
    """

    status: int
    body: bytes
    location: str = ""
    clock_skew_s: float | None = None


def check_url(url: str, what: str) -> None:
    """Refuse a URL that cannot be posted to.

    Raises:
        ConfigError: not http or https, no host, a port that is none, or a blank or control character in it.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
        host.encode("idna")
    except ValueError:
        # The parser's own words may hold a piece of the URL.
        raise ConfigError(f"{what}: the url's host or port is none", hint="write https://HOST[:PORT]/PATH") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigError(f"{what}: the url must begin with https:// or http:// and name a host")
    if " " in url or not url.isprintable():
        raise ConfigError(f"{what}: the url holds a blank or a control character")


def origin(url: str) -> str:
    """Return scheme, host and port of a URL, empty where it has none.

    The rest is not for people's eyes: robots and login portals carry tokens in the path, the query, the fragment and
    before the host.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    if not host:
        return ""
    shown = f"[{host}]" if ":" in host else host
    return redact(f"{parts.scheme}://{shown}" + (f":{port}" if port else ""))


def masked(url: str) -> str:
    """Return the URL with ``***`` for its path and its query."""
    parts = urlsplit(url)
    return origin(url) + ("/***" if parts.path.strip("/") else "/") + ("?***" if parts.query else "")


def post_json(url: str, payload: dict[str, Any], headers: dict[str, str] | None = None) -> Answer | Delivery:
    """Post the payload once and return the answer, or the delivery's outcome when nobody answered.

    Args:
        url: with its query; of it only the origin appears in messages.
        payload: becomes the JSON body.
        headers: added to the content type.
    """
    where, parts = origin(url), urlsplit(url)
    tls, host = parts.scheme == "https", parts.hostname or ""
    port = parts.port or (443 if tls else 80)
    target = quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), safe=_TARGET)
    context = ssl.create_default_context() if tls else None
    connection = (
        http.client.HTTPSConnection(host, port, context=context) if tls else http.client.HTTPConnection(host, port)
    )
    connected = False
    try:
        with Deadline(TOTAL_TIMEOUT_S) as deadline, contextlib.closing(connection):
            line = deadline.connect(host, port, at_most_s=CONNECT_TIMEOUT_S)
            connection.sock = context.wrap_socket(line, server_hostname=host) if context else line
            connected = True
            connection.request("POST", target, msgspec.json.encode(payload), _HEADERS | (headers or {}))
            response = connection.getresponse()
            return Answer(
                response.status,
                response.read(_LONGEST_ANSWER),
                origin(response.getheader("Location") or ""),
                _skew(response.getheader("Date")),
            )
    except socket.gaierror:
        return _unreachable(where, "its name does not resolve")
    except TimeoutError:
        if connected:
            return _unanswered(where, f"no whole answer within {TOTAL_TIMEOUT_S:g} s")
        return _unreachable(where, f"no connection within {CONNECT_TIMEOUT_S:g} s")
    except ssl.SSLError:
        if connected:
            return _unanswered(where, "the connection broke before the answer was complete")
        return Delivery(
            Verdict.UNREACHABLE,
            "",
            f"{where}: no trusted TLS connection",
            "check the server's certificate, this machine's CA certificates and its clock",
        )
    except (OSError, http.client.HTTPException):
        if connected:
            return _unanswered(where, "the connection broke before the answer was complete")
        return _unreachable(where, "the connection was refused or there is no route")


def redirected(answer: Answer, where: str) -> Delivery | None:
    """Return the outcome for a redirect, which is never followed: it would carry the token elsewhere."""
    if not 300 <= answer.status < 400:
        return None
    target = f" to {answer.location}" if answer.location else " to another path of the same host"
    return Delivery(
        Verdict.REDIRECTED,
        str(answer.status),
        f"{where} answered with a redirect{target}, which is not followed",
        "a robot never redirects: check the url for a typing error, a login portal or a proxy in between; "
        "put the final address into the inventory if it is right",
    )


def out_of_order(answer: Answer, where: str) -> Delivery | None:
    """Return the outcome for HTTP 429 and 5xx, which say nothing about the message itself."""
    if answer.status == 429:
        return Delivery(
            Verdict.THROTTLED, "429", f"{where}: too many requests (HTTP 429)", "wait a minute, then try again"
        )
    if answer.status in (502, 504):
        return Delivery(
            Verdict.UNKNOWN,
            str(answer.status),
            f"{where}: a gateway in front of it failed (HTTP {answer.status}); the message may have arrived",
            "look at the receiving end, then try again",
        )
    if answer.status >= 500:
        return Delivery(
            Verdict.UNREACHABLE,
            str(answer.status),
            f"{where} is out of order (HTTP {answer.status})",
            "try again later; if it stays, ask whoever runs that service",
        )
    return None


def _unreachable(where: str, why: str) -> Delivery:
    return Delivery(
        Verdict.UNREACHABLE,
        "",
        f"{where} cannot be reached: {why}",
        "check the url, DNS, routes and firewalls from the host that sends",
    )


def _unanswered(where: str, why: str) -> Delivery:
    return Delivery(
        Verdict.UNKNOWN,
        "",
        f"{where}: {why}; the message may or may not have arrived",
        "look into the chat or mailbox before sending again; check the network path if this repeats",
    )


def _skew(date: str | None) -> float | None:
    try:
        return parsedate_to_datetime(date or "").timestamp() - time.time()
    except (TypeError, ValueError, OverflowError):
        return None
