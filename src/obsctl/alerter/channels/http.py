"""How channels post JSON: through proxies where there are any, with no redirect followed, and without a secret in any
error."""

from __future__ import annotations

import ssl
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Annotated
from urllib.parse import quote, urlsplit, urlunsplit

import requests
import requests.utils
from msgspec import Meta

from obsctl.alerter.channels.channel import ChannelOptions
from obsctl.alerter.channels.http_transport import Trip
from obsctl.alerter.channels.outcome import Delivery, Verdict
from obsctl.alerter.channels.web_address import check_proxy, check_url, origin
from obsctl.core.errors import ConfigError

#: Time limit from resolving the name to the answer's last byte, seconds.
TOTAL_TIMEOUT_S = 5.0
#: Robots answer with a few hundred bytes; more is not read.
_LONGEST_ANSWER = 64 * 1024
#: Characters that may appear unquoted in a request's target.
_TARGET = "/?:@!$&'()*+,;=%~"
_HEADERS = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "obsctl", "Connection": "close"}


class HttpOptions(ChannelOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of every channel that posts to a URL."""

    url: Annotated[str, Meta(description="URL that the messages are posted to; it must not contain a token.")]
    proxy: Annotated[
        str,
        Meta(description="Outbound proxy, http://HOST:PORT; by default the one in HTTPS_PROXY, subject to NO_PROXY."),
    ] = ""
    ca_file: Annotated[
        str,
        Meta(description="CA certificates (PEM) to trust instead of this machine's, a path on the host that sends."),
    ] = ""

    def endpoint(self) -> Endpoint:
        """Return where to post.

        Raises:
            ConfigError: the url, the proxy or the CA file cannot be used.
        """
        return Endpoint(self.url, what=f"alert channel {self.name}", proxy=self.proxy, ca_file=self.ca_file)


@dataclass(frozen=True)
class Answer:
    """An HTTP answer.

    Attributes:
        status: HTTP status.
        body: the first 64 KiB.
        location: scheme and host that a redirect points to; empty without a redirect.
        clock_skew_s: the server's ``Date`` minus this machine's clock, seconds; None without the header.
        retry_after_s: how long the server asks clients to wait (``Retry-After``), seconds; None without the header.
        html: whether the body is an HTML page, by its type or its beginning.
    """

    status: int
    body: bytes
    location: str = ""
    clock_skew_s: float | None = None
    retry_after_s: float | None = None
    html: bool = False


class Endpoint:
    """A URL to post to, or to get.

    Args:
        url: http or https; it holds no secret, but only its origin is ever shown all the same.
        what: named in errors.
        proxy: URL of a proxy; empty for what the environment says.
        ca_file: PEM file of the certificate authorities to trust; empty for this machine's.

    Raises:
        ConfigError: one of them cannot be used.
    """

    def __init__(self, url: str, *, what: str, proxy: str = "", ca_file: str = "") -> None:
        check_url(url, f"{what}: the url")
        self.url = url
        self.where = origin(url)
        self._proxy = proxy
        if proxy:
            check_proxy(proxy, what)
        self._context = trusting(ca_file, what)

    def post(
        self,
        body: bytes,
        *,
        path: str = "",
        query: str = "",
        headers: dict[str, str] | None = None,
        within_s: float | None = None,
    ) -> Answer | Delivery:
        """Post once and return the answer, or the delivery's outcome when there was none.

        Args:
            body: JSON.
            path: added to the URL's own after a slash; may hold secrets.
            query: added to the URL's own; may hold secrets.
            headers: added to the content type; may hold secrets.
            within_s: time limit for the whole request, seconds; by default the channels' limit.
        """
        return self._request("POST", body, _HEADERS | (headers or {}), path=path, query=query, within_s=within_s)

    def get(self) -> Answer | Delivery:
        """Get the URL as it is once, and return the answer, or the outcome when there was none."""
        return self._request("GET", None, {name: _HEADERS[name] for name in ("User-Agent", "Connection")})

    def _request(
        self,
        method: str,
        body: bytes | None,
        headers: dict[str, str],
        *,
        path: str = "",
        query: str = "",
        within_s: float | None = None,
    ) -> Answer | Delivery:
        parts = urlsplit(self.url)
        query = "&".join(filter(None, (parts.query, query)))
        place = f"{parts.path.rstrip('/')}/{path}" if path else parts.path or "/"
        target = quote(place + (f"?{query}" if query else ""), safe=_TARGET)
        # Without the login before the host: requests would send it along.
        address = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], "", "", "")) + target
        prepared = requests.Request(method, address, data=body, headers=headers).prepare()
        proxies = self._proxies()
        proxy = requests.utils.select_proxy(address, proxies) or ""
        if proxy and urlsplit(proxy).scheme not in ("http", "https"):
            return Delivery(
                Verdict.UNREACHABLE,
                "",
                f"{self.where} cannot be reached: the environment (HTTPS_PROXY, ALL_PROXY) names a proxy that is "
                "not an HTTP proxy",
                "set the channel's proxy to http://HOST:PORT, or add the host to NO_PROXY",
            )
        trip = Trip(self.where, origin(proxy), TOTAL_TIMEOUT_S if within_s is None else within_s)
        sent = trip.send(prepared, proxies, self._context, _LONGEST_ANSWER)
        if isinstance(sent, Delivery):
            return sent
        response, content = sent
        said = response.headers
        return Answer(
            response.status_code,
            content,
            origin(said.get("Location") or ""),
            _skew(said.get("Date")),
            _seconds(said.get("Retry-After")),
            _is_page(said.get("Content-Type"), content),
        )

    def _proxies(self) -> dict[str, str]:
        if self._proxy:
            return {"http": self._proxy, "https": self._proxy}
        return {
            scheme: proxy if "://" in proxy else f"http://{proxy}"
            for scheme, proxy in requests.utils.get_environ_proxies(self.url).items()
        }


def trusting(ca_file: str, what: str) -> ssl.SSLContext:
    """Return the TLS context of a channel.

    Args:
        ca_file: PEM file of the certificate authorities to trust; empty for this machine's.
        what: named in errors.

    Raises:
        ConfigError: the file cannot be used.
    """
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:  # ssl.SSLError is one
        why = "contains no PEM certificate" if isinstance(error, ssl.SSLError) else error.strerror
        raise ConfigError(
            f"{what}: the ca_file {ca_file} cannot be used: {why}",
            hint="give the path of a PEM file on the host that sends; it must be readable by the alerter's user",
        ) from None


def redirected(answer: Answer, where: str) -> Delivery | None:
    """Return the outcome for a redirect, which is never followed: it would carry the token elsewhere."""
    if not 300 <= answer.status < 400:
        return None
    target = f" to {answer.location}" if answer.location else " to another path of the same host"
    return Delivery(
        Verdict.REDIRECTED,
        str(answer.status),
        f"{where} answered with a redirect{target}, which is not followed",
        "robots never redirect: check the url for a typo, and look for a login portal or a proxy in between; "
        "if the redirect is right, put the final address into the inventory",
    )


def out_of_order(answer: Answer, where: str) -> Delivery | None:
    """Return the outcome for HTTP 407, 429 and 5xx, which say nothing about the message itself."""
    if answer.status == 407:
        return Delivery(
            Verdict.REFUSED,
            "407",
            f"the proxy in front of {where} requires a login (HTTP 407)",
            "leave proxy out and set HTTPS_PROXY with the login in the environment of the process that sends",
        )
    if answer.status == 429:
        return Delivery(
            Verdict.THROTTLED,
            "429",
            f"{where}: too many requests (HTTP 429)",
            "wait a minute, then try again; if it happens again, lower the channel's per_minute",
            answer.retry_after_s,
        )
    if answer.status in (502, 504):
        return Delivery(
            Verdict.UNKNOWN,
            str(answer.status),
            f"{where}: a gateway in front of it failed (HTTP {answer.status}); the message may or may not have arrived",
            "check whether the message is in the chat, then try again",
        )
    if answer.status >= 500:
        return Delivery(
            Verdict.UNREACHABLE,
            str(answer.status),
            f"{where} is failing (HTTP {answer.status})",
            "try again later; if it persists, ask its operators",
            answer.retry_after_s,
        )
    return None


def _is_page(content_type: str | None, body: bytes) -> bool:
    """Return whether an answer is a page for people: a login portal, a proxy's error, a company's home page."""
    begin = body.lstrip()[:15].lower()
    return begin.startswith((b"<!doctype html", b"<html")) or (
        begin.startswith(b"<") and (content_type or "").lower().startswith(("text/html", "application/xhtml"))
    )


def _seconds(retry_after: str | None) -> float | None:
    """Return a ``Retry-After`` in seconds: it is a number or a date."""
    value = (retry_after or "").strip()
    if value.isascii() and value.isdigit():
        # With too many digits the number would not fit into a float.
        return float(value[:9])
    when = _skew(value)
    return None if when is None else max(0.0, when)


def _skew(date: str | None) -> float | None:
    try:
        return parsedate_to_datetime(date or "").timestamp() - time.time()
    except (TypeError, ValueError, OverflowError):
        return None
