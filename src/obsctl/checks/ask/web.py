"""How the balancers' nginx is asked: in clear or with TLS, as the inventory says, or a person."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from typing import Literal, NamedTuple

from obsctl.checks.ask.http import KeptConnection, get
from obsctl.checks.ask.tls import Tls
from obsctl.core.errors import ConfigError
from obsctl.fleet.model import Fleet, Https, Vip

Scheme = Literal["", "http", "https"]


class Web(NamedTuple):
    """One of the two ways.

    Attributes:
        scheme: ``http`` or ``https``.
        port: that nginx has for it.
        tls: with which its certificate is checked; None in clear.
    """

    scheme: Literal["http", "https"]
    port: int
    tls: Tls | None

    def get(
        self, address: str, path: str, *, deadline_s: float, headers: Mapping[str, str] | None = None
    ) -> http.client.HTTPResponse:
        """Do as :func:`obsctl.checks.ask.http.get` does; the handshake is within the deadline."""
        return get(address, self.port, path, deadline_s=deadline_s, headers=headers, tls=self.tls)

    def kept(self, address: str) -> KeptConnection:
        """Return a connection for many requests."""
        return KeptConnection(address, self.port, self.tls)


def web(vip: Vip, scheme: Scheme = "", *, to_back_ends: bool = True) -> Web:
    """Return how nginx is asked: with TLS where it speaks it, unless a person wants the other way.

    Args:
        scheme: that a person wants; empty for none.
        to_back_ends: the requests are for the back ends; else nginx's own answer will do.

    Raises:
        ConfigError: nginx does not answer that way, or the trusted certificates cannot be read.
    """
    if vip.https is not None and scheme != "http":
        return Web("https", vip.https.port, Tls(vip.https))
    if scheme == "https":
        raise ConfigError(
            "nginx has no TLS in this fleet", hint="leave --scheme out, or set fleet_tls and run the playbooks again"
        )
    if vip.https is not None and vip.https.http == "close":
        raise ConfigError("nginx listens with TLS only (nginx_http: close)", hint="leave --scheme out")
    if vip.https is not None and vip.https.http == "redirect" and to_back_ends:
        raise ConfigError("without TLS nginx only redirects to https (nginx_http: redirect)", hint="leave --scheme out")
    return Web("http", vip.port, None)


def backend_tls(fleet: Fleet) -> Tls | None:
    """Return how the back ends' certificates are checked when they are asked by themselves; None without TLS.

    Raises:
        ConfigError: the trusted certificates cannot be read.
    """
    https = fleet.vip.https if fleet.vip is not None else None
    return Tls(Https(ca_file=https.backend_ca_file)) if https is not None and https.backend_ca_file else None
