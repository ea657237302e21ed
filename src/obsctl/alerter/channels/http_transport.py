"""How a channel's request is sent: within one deadline, and with a record of how far it got.

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
from dataclasses import dataclass, field
from typing import Any

import requests
import requests.adapters
import urllib3
import urllib3.connection

from obsctl.alerter.channels.outcome import Delivery, Verdict
from obsctl.core.deadline import Deadline

#: Time limit for connecting, seconds.
CONNECT_TIMEOUT_S = 3.0
#: http.client says so when a proxy answers CONNECT with anything but 200.
_TUNNEL_REFUSED = re.compile(r"Tunnel connection failed: (\d{3})")


@dataclass
class Trip:
    """One request and how far it got, which decides whether an unanswered message may have arrived.

    Attributes:
        where: the URL's origin.
        proxy: the proxy's origin, empty for none.
        total_s: time limit for the whole request, seconds.
        step: ``connect``, ``tunnel`` (through the proxy), ``tls``, or ``sent`` once the request may be on its way.
        fault: what made connecting fail.
    """

    where: str
    proxy: str
    total_s: float
    step: str = "connect"
    fault: BaseException | None = None
    deadline: Deadline = field(init=False)

    def __post_init__(self) -> None:
        self.deadline = Deadline(self.total_s)

    def send(
        self, prepared: requests.PreparedRequest, proxies: dict[str, str], context: ssl.SSLContext, most_bytes: int
    ) -> tuple[requests.Response, bytes] | Delivery:
        """Send a request; return the answer with the beginning of its body, or the outcome when there was no answer."""
        try:
            with self.deadline, contextlib.closing(_Adapter(context)) as adapter:
                token = _TRIP.set(self)
                try:
                    response = adapter.send(prepared, stream=True, timeout=self.total_s, proxies=proxies)
                    return response, response.raw.read(most_bytes, decode_content=False)
                finally:
                    _TRIP.reset(token)
        except TimeoutError:
            return self._timed_out()
        except (OSError, http.client.HTTPException, urllib3.exceptions.HTTPError):  # requests' own errors are OSErrors
            return self._broken()

    def _timed_out(self) -> Delivery:
        """Return the outcome when the time limit was exceeded."""
        if self.step == "sent":
            return _unanswered(self.where, f"no complete answer within {self.total_s:g} s")
        if self.step == "tls":
            return self._unreachable(f"no TLS connection within {self.total_s:g} s")
        if self.step == "tunnel":
            return self._unreachable(f"it did not connect within {self.total_s:g} s")
        return self._unreachable(f"no connection within {CONNECT_TIMEOUT_S:g} s")

    def _broken(self) -> Delivery:
        """Return the outcome when anything else made the request fail."""
        if self.step == "sent":
            return _unanswered(self.where, "the connection broke before the answer was complete")
        if isinstance(self.fault, TimeoutError):
            return self._timed_out()
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
                "requires a login, and whether it allows this host",
            )
        return Delivery(
            Verdict.UNREACHABLE,
            "",
            f"{self.where} cannot be reached: {why}",
            "check the url, DNS, routes and firewalls from the host that sends; if outbound traffic needs a "
            "proxy, set proxy",
        )


def _unanswered(where: str, why: str) -> Delivery:
    return Delivery(
        Verdict.UNKNOWN,
        "",
        f"{where}: {why}; the message may or may not have arrived",
        "check the chat or mailbox before sending again; check the network path if this happens again",
    )


#: This thread's current request: requests and urllib3 create the connection objects and cannot pass it to them.
_TRIP: contextvars.ContextVar[Trip] = contextvars.ContextVar("trip")


class _Connection(urllib3.connection.HTTPConnection):
    """A connection that ends at the deadline, and records how far the request got."""

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
            # The libraries above wrap this error twice; here its type still says what happened.
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
    """Creates the connections above, for one request."""

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
        """Leave certificates to the TLS context: requests would add certifi's list."""


class _WithoutTargets(logging.Filter):
    """Drops urllib3's log records about single requests: they contain the target, which contains the token."""

    def filter(self, record: logging.LogRecord) -> bool:
        del record
        return _TRIP.get(None) is None


for _name in [name for name in logging.root.manager.loggerDict if name.startswith("urllib3.")]:
    # A logger's filter does not reach the loggers below it.
    logging.getLogger(_name).addFilter(_WithoutTargets())
