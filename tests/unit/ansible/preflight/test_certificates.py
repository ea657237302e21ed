"""Which certificates the preflight looks at: those that the roles will ask for, and no others."""

from __future__ import annotations

from typing import Any

import pytest

from rig import collection  # noqa: F401  # makes ansible_collections importable

from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.certificates import has_certificate  # isort: skip

NGINX = {"nginx_tls_listen": ["443"]}


@pytest.mark.parametrize(
    ("use", "variables", "wanted"),
    [
        ("kafka", {}, True),
        ("mysql", {"mysql_tls": "require"}, True),
        ("mysql", {"mysql_tls": "clear"}, False),
        ("nginx", NGINX, True),
        ("nginx", {"nginx_tls_listen": []}, False),
        # A certificate of one's own for nginx, beside ready ones for the rest.
        ("nginx", {**NGINX, "nginx_tls_certificate_file": "shop.pem"}, False),
        ("nginx", {**NGINX, "nginx_tls_certificate_path": "/etc/shop.pem"}, False),
        ("backend", {"backend_tls": True}, True),
        ("backend", {"backend_tls": "no"}, False),
        ("backend", {}, False),
    ],
)
def test_what_has_a_certificate(use: str, variables: dict[str, Any], wanted: bool) -> None:
    for on in (True, "yes", "true"):
        assert has_certificate({"fleet_tls": on, **variables}, use) is wanted
    for off in (False, "false", None):
        assert has_certificate({"fleet_tls": off, **variables}, use) is False
