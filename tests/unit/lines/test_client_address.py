"""Whose request it was."""

from __future__ import annotations

import ipaddress

import pytest

from obsctl.lines.client_address import TrustedProxies

PROXIES = TrustedProxies([ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8")])


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("198.51.100.1", "203.0.113.9", "198.51.100.1"),  # a stranger says what he likes
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "1.1.1.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),  # left of it anybody can invent
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),  # all are ours: the farthest
        ("10.0.0.1", "203.0.113.9, unknown", "10.0.0.1"),
        ("10.0.0.1", "rubbish, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "203.0.113.9:4711", "203.0.113.9"),
        ("fd00::1", "[2001:db8::7]:80", "2001:db8::7"),
        ("::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"),  # as a dual-stack socket shows a proxy
        ("10.0.0.1", "::ffff:203.0.113.9, ::ffff:10.0.0.2", "203.0.113.9"),
        ("unix:", "203.0.113.9", "unix:"),
        ("10.0.0.1", "fe80::1%" + "s" * 300, "10.0.0.1"),  # a scope is any text, and no column takes it
    ],
)
def test_client(peer: str, forwarded: str, client: str) -> None:
    assert PROXIES.client(peer, forwarded) == client


def test_nobody_is_trusted_by_default() -> None:
    assert not TrustedProxies(())
    assert TrustedProxies(()).client("10.0.0.1", "203.0.113.9") == "10.0.0.1"
