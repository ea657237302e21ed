"""A vendor for each test, and time-outs that a test can wait for."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from rig.vendor import Vendor, serving


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    """A vendor that takes every message unless the test says otherwise."""
    with serving() as running:
        yield running


@pytest.fixture
def closed_port() -> int:
    """A port on loopback on which no process listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(autouse=True)
def quick_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real time-outs are 3 to 15 seconds; a test need not wait for them."""
    from obsctl.alerter.channels import http, http_transport, smtp

    monkeypatch.setattr(http_transport, "CONNECT_TIMEOUT_S", 0.5)
    monkeypatch.setattr(http, "TOTAL_TIMEOUT_S", 0.8)
    monkeypatch.setattr(smtp, "_CONNECT_S", 0.5)
    monkeypatch.setattr(smtp, "_TOTAL_S", 0.8)
