"""How channels post JSON: through proxies where there are any, with no redirect followed, within one deadline, and
without a secret in any error.

The transport of ``requests`` is used below its sessions. A session would read the whole body of a redirect to find the
next address, take logins from ``~/.netrc``, and trust certifi's list instead of this machine's certificates.
"""

from __future__ import annotations

import contextlib
import contextvars
import http.client
import logging
import re
import socket
import ssl
import time
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Annotated, Any
from urllib.parse import quote, urlsplit, urlunsplit

import requests
import requests.adapters
import requests.utils
import urllib3
import urllib3.connection
from msgspec import Meta

from obsctl.alerter.channels.channel import ChannelOptions
from obsctl.alerter.delivery import Delivery, Verdict
from obsctl.core.deadline import Deadline
from obsctl.core.errors import ConfigError
from obsctl.core.secrets import redact

#: Seconds; the total bounds everything from resolving the name to the answer's last byte.
CONNECT_TIMEOUT_S = 3.0
TOTAL_TIMEOUT_S = 5.0
#: Robots answer with a few hundred bytes; more is not read.
_LONGEST_ANSWER = 64 * 1024
#: What may stand in a request's target as it is.
_TARGET = "/?:@!$&'()*+,;=%~"
_HEADERS = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "obsctl", "Connection": "close"}
#: http.client says so when a proxy answers CONNECT with anything but 200.
_TUNNEL_REFUSED = re.compile(r"Tunnel connection failed: (\d{3})")


class HttpOptions(ChannelOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of every channel that posts to a URL."""

    url: Annotated[str, Meta(description="Where the messages are posted to; it must hold no token.")]
    proxy: Annotated[
        str,
        Meta(description="Proxy that leads out, http://HOST:PORT; by default that of HTTPS_PROXY and NO_PROXY."),
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
        location: scheme and host that a redirect points to, empty where it names none.
        clock_skew_s: the server's ``Date`` minus this machine's clock, seconds; None without the header.
        retry_after_s: how long the server wants to be left alone (``Retry-After``), seconds; None without the header.
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
        url: http or https; without a secret, but nevertheless only its origin is ever shown.
        what: named in errors.
        proxy: URL of a proxy; empty for what the environment says.
        ca_file: PEM file of the certificate authorities to trust; empty for this machine's.

    Raises:
        ConfigError: one of them cannot be used.
    """

    def __init__(self, url: str, *, what: str, proxy: str = "", ca_file: str = "") -> None:
        _check_url(url, f"{what}: the url")
        self.url = url
        self.where = origin(url)
        self._proxy = proxy
        if proxy:
            _check_proxy(proxy, what)
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
            within_s: seconds for all of it; the channels' total unless given.
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
        # Without the login that stands before the host: requests would send it along.
        address = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], "", "", "")) + target
        prepared = requests.Request(method, address, data=body, headers=headers).prepare()
        proxies = self._proxies()
        proxy = requests.utils.select_proxy(address, proxies) or ""
        if proxy and urlsplit(proxy).scheme not in ("http", "https"):
            return Delivery(
                Verdict.UNREACHABLE,
                "",
                f"{self.where} cannot be reached: the environment (HTTPS_PROXY, ALL_PROXY) names a proxy that is "
                "not one for HTTP",
                "set the channel's proxy to http://HOST:PORT, or add the host to NO_PROXY",
            )
        trip = _Trip(self.where, origin(proxy), total_s=TOTAL_TIMEOUT_S if within_s is None else within_s)
        try:
            return self._travel(trip, prepared, proxies)
        except TimeoutError:
            return trip.timed_out()
        except (OSError, http.client.HTTPException, urllib3.exceptions.HTTPError):  # requests' own errors are OSErrors
            return trip.broken()

    def _travel(self, trip: _Trip, prepared: requests.PreparedRequest, proxies: dict[str, str]) -> Answer:
        with Deadline(trip.total_s) as trip.deadline, contextlib.closing(_Adapter(self._context)) as adapter:
            token = _TRIP.set(trip)
            try:
                response = adapter.send(prepared, stream=True, timeout=trip.total_s, proxies=proxies)
                body = response.raw.read(_LONGEST_ANSWER, decode_content=False)
            finally:
                _TRIP.reset(token)
            headers = response.headers
            return Answer(
                response.status_code,
                body,
                origin(headers.get("Location") or ""),
                _skew(headers.get("Date")),
                _seconds(headers.get("Retry-After")),
                _is_page(headers.get("Content-Type"), body),
            )

    def _proxies(self) -> dict[str, str]:
        if self._proxy:
            return {"http": self._proxy, "https": self._proxy}
        return {
            scheme: proxy if "://" in proxy else f"http://{proxy}"
            for scheme, proxy in requests.utils.get_environ_proxies(self.url).items()
        }


@dataclass
class _Trip:
    """How far one post has come, which decides whether a message that was not answered may have arrived.

    Attributes:
        where: the URL's origin.
        proxy: the proxy's origin, empty for none.
        total_s: what all of it may take, seconds.
        step: ``connect``, ``tunnel`` (through the proxy), ``tls``, or ``sent`` once the request may be on its way.
        fault: what ended the connecting.
    """

    where: str
    proxy: str
    total_s: float
    step: str = "connect"
    fault: BaseException | None = None
    deadline: Deadline = field(default_factory=lambda: Deadline(TOTAL_TIMEOUT_S))

    def timed_out(self) -> Delivery:
        """Return the outcome when the time was over."""
        if self.step == "sent":
            return _unanswered(self.where, f"no whole answer within {self.total_s:g} s")
        if self.step == "tls":
            return self._unreachable(f"no TLS connection within {self.total_s:g} s")
        if self.step == "tunnel":
            return self._unreachable(f"it did not connect within {self.total_s:g} s")
        return self._unreachable(f"no connection within {CONNECT_TIMEOUT_S:g} s")

    def broken(self) -> Delivery:
        """Return the outcome when anything else ended it."""
        if self.step == "sent":
            return _unanswered(self.where, "the connection broke before the answer was complete")
        if isinstance(self.fault, TimeoutError):
            return self.timed_out()
        if isinstance(self.fault, ssl.SSLError):
            return Delivery(
                Verdict.UNREACHABLE,
                "",
                f"{self.where}: no trusted TLS connection",
                "check the server's certificate, the CA certificates (this machine's, or the channel's ca_file) and "
                "this machine's clock",
            )
        if isinstance(self.fault, socket.gaierror):
            return self._unreachable("its name does not resolve")
        refused = _TUNNEL_REFUSED.match(str(self.fault))
        if refused:
            return self._unreachable(f"it refuses to connect (HTTP {refused[1]})")
        if self.step == "connect":
            return self._unreachable("the connection was refused or there is no route")
        return self._unreachable(
            "the connection was closed before " + ("it answered" if self.step == "tunnel" else "TLS was set up")
        )

    def _unreachable(self, why: str) -> Delivery:
        if self.proxy:
            return Delivery(
                Verdict.UNREACHABLE,
                "",
                f"{self.where} cannot be reached through the proxy {self.proxy}: {why}",
                "check the channel's proxy (or HTTPS_PROXY and NO_PROXY of the process that sends), whether the proxy "
                "wants a login, and whether it allows this host",
            )
        return Delivery(
            Verdict.UNREACHABLE,
            "",
            f"{self.where} cannot be reached: {why}",
            "check the url, DNS, routes and firewalls from the host that sends; if only a proxy leads out, set proxy",
        )


#: The post that this thread makes: the connection classes are made deep inside requests and urllib3.
_TRIP: contextvars.ContextVar[_Trip] = contextvars.ContextVar("trip")


class _Connection(urllib3.connection.HTTPConnection):
    """A connection that ends with the deadline, and notes how far it came."""

    def _new_conn(self) -> socket.socket:
        trip = _TRIP.get()
        line = trip.deadline.connect(self._dns_host, self.port, at_most_s=CONNECT_TIMEOUT_S)
        trip.step = "tls"
        return line

    def _tunnel(self) -> None:
        trip = _TRIP.get()
        trip.step = "tunnel"
        super()._tunnel()
        trip.step = "tls"

    def connect(self) -> None:
        trip = _TRIP.get()
        try:
            super().connect()
        except BaseException as error:
            # The libraries above wrap it twice; here it still says what it is.
            trip.fault = error
            raise
        trip.step = "sent"


class _TlsConnection(_Connection, urllib3.connection.HTTPSConnection):
    """The same, encrypted."""


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _Adapter(requests.adapters.HTTPAdapter):
    """Makes the connections above, for one post."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__()

    def init_poolmanager(self, *args: Any, **more: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._context, **more)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def proxy_manager_for(self, proxy: str, **more: Any) -> Any:
        manager = super().proxy_manager_for(proxy, ssl_context=self._context, proxy_ssl_context=self._context, **more)
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
        return manager

    def cert_verify(self, conn: object, url: object, verify: object, cert: object) -> None:
        """Leave the certificates to the context: requests would add certifi's list to them."""


class _WithoutTargets(logging.Filter):
    """Drops urllib3's records of single requests, also its warnings: they hold the target, and that holds the token."""

    def filter(self, record: logging.LogRecord) -> bool:
        del record
        return _TRIP.get(None) is None


for _name in [name for name in logging.root.manager.loggerDict if name.startswith("urllib3.")]:
    # A logger's filter does not reach the loggers below it.
    logging.getLogger(_name).addFilter(_WithoutTargets())


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
        why = "holds no certificate in PEM" if isinstance(error, ssl.SSLError) else error.strerror
        raise ConfigError(
            f"{what}: the ca_file {ca_file} cannot be used: {why}",
            hint="give the path of a PEM file on the host that sends; it must be readable by the alerter's user",
        ) from None


def _check_url(url: str, what: str) -> None:
    """Refuse a URL that cannot be posted to.

    Raises:
        ConfigError: not http or https, no host, an impossible port, or a blank or control character in it.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
        host.encode("idna")
    except ValueError:
        # The parser's own words may hold a piece of the URL.
        raise ConfigError(f"{what} has an invalid host or port", hint="write https://HOST[:PORT]/PATH") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigError(f"{what} must begin with https:// or http:// and name a host")
    if " " in url or not url.isprintable():
        raise ConfigError(f"{what} holds a blank or a control character")
    try:
        requests.Request("POST", url).prepare()
    except requests.RequestException:
        raise ConfigError(f"{what} has an invalid host or port", hint="write https://HOST[:PORT]/PATH") from None


def _check_proxy(proxy: str, what: str) -> None:
    _check_url(proxy, f"{what}: the proxy")
    if "@" in urlsplit(proxy).netloc:
        raise ConfigError(
            f"{what}: the proxy holds a login, and alerter.yml is no place for secrets",
            hint="leave proxy out and set HTTPS_PROXY in the environment of obsctl-alerter instead: "
            "systemctl edit obsctl-alerter",
        )


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
    """Return the outcome for HTTP 407, 429 and 5xx, which say nothing about the message itself."""
    if answer.status == 407:
        return Delivery(
            Verdict.REFUSED,
            "407",
            f"the proxy in front of {where} wants a login (HTTP 407)",
            "leave proxy out and set HTTPS_PROXY with the login in the environment of the process that sends",
        )
    if answer.status == 429:
        return Delivery(
            Verdict.THROTTLED,
            "429",
            f"{where}: too many requests (HTTP 429)",
            "wait a minute, then try again; if it repeats, lower the channel's per_minute",
            answer.retry_after_s,
        )
    if answer.status in (502, 504):
        return Delivery(
            Verdict.UNKNOWN,
            str(answer.status),
            f"{where}: a gateway in front of it failed (HTTP {answer.status}); the message may or may not have arrived",
            "look whether the message is in the chat, then try again",
        )
    if answer.status >= 500:
        return Delivery(
            Verdict.UNREACHABLE,
            str(answer.status),
            f"{where} is out of order (HTTP {answer.status})",
            "try again later; if it stays, ask those who run that service",
            answer.retry_after_s,
        )
    return None


def _unanswered(where: str, why: str) -> Delivery:
    return Delivery(
        Verdict.UNKNOWN,
        "",
        f"{where}: {why}; the message may or may not have arrived",
        "look into the chat or mailbox before sending again; check the network path if this repeats",
    )


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
        # More digits than any real time has would be no float.
        return float(value[:9])
    when = _skew(value)
    return None if when is None else max(0.0, when)


def _skew(date: str | None) -> float | None:
    try:
        return parsedate_to_datetime(date or "").timestamp() - time.time()
    except (TypeError, ValueError, OverflowError):
        return None
