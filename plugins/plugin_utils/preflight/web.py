# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""TLS of the balancers: a certificate and its key, and something that answers."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.model import Fleet, Problem

#: The variables of the site's own certificate and key: on the control node, and on the balancers.
PAIRS = (
    ("nginx_tls_certificate_file", "nginx_tls_key"),
    ("nginx_tls_certificate_path", "nginx_tls_key_path"),
)


def own_certificates(fleet: Fleet) -> Iterator[Problem]:
    """The site's own certificate is given once, with its key."""
    for host, variables in fleet.group("lb"):
        given = [pair for pair in PAIRS if any(variables.get(name) for name in pair)]
        for pair in given:
            for name, other in (pair, pair[::-1]):
                if variables.get(name) and not variables.get(other):
                    yield Problem(host, f"{name} is set and {other} is not", f"set {other} too, or remove {name}")
        if len(given) > 1:
            yield Problem(
                host,
                "nginx_tls_certificate_file and nginx_tls_certificate_path both name a certificate",
                "keep the file on the control node or the path on the balancers, and empty the other one",
            )


def answers(fleet: Fleet) -> Iterator[Problem]:
    """nginx_http other than serve, and TLS to the back ends, need TLS."""
    for host, variables in fleet.group("lb"):
        http = variables.get("nginx_http")
        if variables.get("fleet_tls") and http in ("redirect", "close") and not variables.get("nginx_tls_listen"):
            yield Problem(
                host,
                f"nginx_http is {http}, but nginx_tls_listen is empty: nginx would answer nowhere",
                "name a port in nginx_tls_listen, such as '443', or set nginx_http to serve",
            )
        if variables.get("nginx_backend_tls") and not variables.get("fleet_tls"):
            yield Problem(
                host,
                "nginx_backend_tls is true, but fleet_tls is false: the back ends have no certificates",
                "set fleet_tls to true, or nginx_backend_tls to false",
            )
