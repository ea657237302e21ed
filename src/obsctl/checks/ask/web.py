"""How to reach the balancers' nginx: by HTTP or HTTPS, as the inventory or a person says."""

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
        port: of nginx for this scheme.
        tls: checks its certificate; None for HTTP.
    """

    scheme: Literal["http", "https"]
    port: int
    tls: Tls | None

    def get(
        self, address: str, path: str, *, deadline_s: float, headers: Mapping[str, str] | None = None
    ) -> http.client.HTTPResponse:
        """Like :func:`obsctl.checks.ask.http.get`; the deadline includes the handshake."""
        return get(address, self.port, path, deadline_s=deadline_s, headers=headers, tls=self.tls)

    def kept(self, address: str) -> KeptConnection:
        """Return a connection that can be used for many requests."""
        return KeptConnection(address, self.port, self.tls)


def web(vip: Vip, scheme: Scheme = "", *, to_back_ends: bool = True) -> Web:
    """Return how to reach nginx: by HTTPS if it serves that, unless a person chose the scheme.

    Args:
        scheme: chosen by a person; empty for none.
        to_back_ends: whether the requests must reach the back ends; otherwise nginx's own answer is enough.

    Raises:
        ConfigError: nginx does not serve that scheme, or the trusted certificates cannot be read.
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
    """Return the check of the back ends' certificates for direct requests; None without TLS.

    Raises:
        ConfigError: the trusted certificates cannot be read.
    """
    https = fleet.vip.https if fleet.vip is not None else None
    return Tls(Https(ca_file=https.backend_ca_file)) if https is not None and https.backend_ca_file else None
