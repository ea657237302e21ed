"""How channels post JSON: one connection set-up, no redirects, deadlines, and no secret in any error."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec
import urllib3

from obsctl.alerting.delivery import Delivery, Verdict
from obsctl.contract import ConfigError

#: Seconds; the total bounds connecting and waiting for the answer.
CONNECT_TIMEOUT_S = 3.0
TOTAL_TIMEOUT_S = 5.0
#: Robots answer with a few hundred bytes; more is not read.
_LONGEST_ANSWER = 64 * 1024

# The library's debug and warning lines hold the URL's query, and with it the token.
logging.getLogger("urllib3").setLevel(logging.ERROR)


@dataclass(frozen=True)
class Answer:
    """An HTTP answer.

    Attributes:
        status: HTTP status.
        body: the first 64 KiB.
        location: where a redirect points to, without its query.
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


def masked(url: str) -> str:
    """Return the URL without credentials and with the values of its query as ``***``."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    names = [item.partition("=")[0] for item in parts.query.split("&") if item]
    query = "?" + "&".join(f"{name}=***" for name in names) if names else ""
    return f"{parts.scheme}://{host}{port}{parts.path}{query}"


def post_json(url: str, payload: dict[str, Any], headers: dict[str, str] | None = None) -> Answer | Delivery:
    """Post the payload once and return the answer, or the delivery's outcome when nobody answered.

    Args:
        url: with its query; it appears in no message and no log line.
        payload: becomes the JSON body.
        headers: added to the content type.
    """
    where = masked(url).partition("?")[0]
    deadline = time.monotonic() + TOTAL_TIMEOUT_S
    try:
        with urllib3.PoolManager(num_pools=1, maxsize=1) as pool:
            response = pool.request(
                "POST",
                url,
                body=msgspec.json.encode(payload),
                headers={"Content-Type": "application/json; charset=utf-8", "User-Agent": "obsctl"} | (headers or {}),
                redirect=False,
                retries=False,
                timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT_S, total=TOTAL_TIMEOUT_S),
                preload_content=False,
            )
            body = b""
            while len(body) < _LONGEST_ANSWER and (part := response.read1(4096)):
                body += part
                if time.monotonic() > deadline:
                    return _unanswered(where, "the answer did not end in time")
            return Answer(
                response.status, body, _without_query(response.headers.get("Location", "")), _skew(response.headers)
            )
    # The library's own messages hold the URL with the token, so none of them is passed on.
    except urllib3.exceptions.NameResolutionError:
        return _unreachable(where, "its name does not resolve")
    # The library counts a refusal as a kind of time-out, so this one comes first.
    except urllib3.exceptions.NewConnectionError:
        return _unreachable(where, "the connection was refused or there is no route")
    except urllib3.exceptions.ConnectTimeoutError:
        return _unreachable(where, f"no connection within {CONNECT_TIMEOUT_S:g} s")
    except urllib3.exceptions.SSLError:
        return Delivery(
            Verdict.UNREACHABLE,
            "",
            f"{where}: no trusted TLS connection",
            "check the server's certificate, this machine's CA certificates and its clock",
        )
    except urllib3.exceptions.ReadTimeoutError:
        return _unanswered(where, f"no answer within {TOTAL_TIMEOUT_S:g} s")
    except (urllib3.exceptions.HTTPError, OSError):
        return _unanswered(where, "the connection broke before the answer was complete")


def redirected(answer: Answer, where: str) -> Delivery | None:
    """Return the outcome for a redirect, which is never followed: it would carry the token elsewhere."""
    if not 300 <= answer.status < 400:
        return None
    target = f" to {answer.location}" if answer.location else ""
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


def _without_query(location: str) -> str:
    return location.partition("?")[0]


def _skew(headers: Any) -> float | None:
    try:
        return parsedate_to_datetime(headers["Date"]).timestamp() - time.time()
    except (KeyError, TypeError, ValueError):
        return None
