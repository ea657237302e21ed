"""Connections to the console on which nothing is asked: they are closed, and keep no other address out."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from obsctl.console.connections import MOST_OF_ADDRESS
from rig.authority import Authority
from rig.console import write_config
from rig.ending import with_us
from rig.ports import free_port
from rig.waiting import wait_for

#: An address from which the console expects a proxy.
PROXY = "127.0.0.3"
#: How long a silent connection stays, with what the machine needs itself, seconds.
_SILENT_S = 20.0


class Site:
    """A running console with TLS, whose database is away.

    Attributes:
        log: what it has written.
    """

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        authority = Authority(folder / "authority")
        pem = str(authority.issue("console"))
        self._trusts = ssl.create_default_context(cafile=authority.ca_file)
        listen = {"address": "127.0.0.1", "port": self.port, "certificate": pem, "key": pem}
        self.config = write_config(folder, _Away(), 1, listen=listen, people={"trusted_proxies": [PROXY]})  # type: ignore[arg-type]
        self.log = folder / "console.log"

    def connection(self, address: str = "127.0.0.1") -> socket.socket:
        """Return a connection from an address, without TLS's handshake."""
        return socket.create_connection(("127.0.0.1", self.port), 10, source_address=(address, 0))

    def encrypted(self) -> ssl.SSLSocket:
        """Return a connection after TLS's handshake."""
        return self._trusts.wrap_socket(self.connection(), server_hostname="127.0.0.1")

    def status(self, address: str) -> int:
        """Return the status of the login page, asked for from an address."""
        asked = http.client.HTTPSConnection(
            "127.0.0.1", self.port, timeout=10, source_address=(address, 0), context=self._trusts
        )
        with contextlib.closing(asked):
            asked.request("GET", "/login")
            return asked.getresponse().status


class _Away:
    port = 1


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("console"))
    command = [sys.executable, "-m", "obsctl.console.service", "--config", made.config]
    with made.log.open("wb") as out, subprocess.Popen(with_us(command), stdout=out, stderr=out) as process:
        try:

            def answers() -> bool:
                assert process.poll() is None, made.log.read_text()
                with contextlib.suppress(ConnectionError):
                    return made.status("127.0.0.1") == 200
                return False

            wait_for(made.log.read_text, answers)
            yield made
        finally:
            process.terminate()
            process.wait(20)


def _is_closed(connection: socket.socket) -> bool:
    """Whether the other side has closed a connection on which it sends nothing."""
    connection.setblocking(False)
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def _ends_after(connection: socket.socket) -> float:
    """Return when a connection is closed, seconds from now."""
    began = time.monotonic()
    connection.settimeout(_SILENT_S)
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while connection.recv(4096):
            pass
    return time.monotonic() - began


def test_silent_connections_of_one_address_keep_no_other_out(site: Site) -> None:
    with contextlib.ExitStack() as stack:

        def silent(address: str) -> list[socket.socket]:
            return [stack.enter_context(site.connection(address)) for _ in range(MOST_OF_ADDRESS + 20)]

        opened, of_proxy = silent("127.0.0.1"), silent(PROXY)
        wait_for("those beyond the share are closed", lambda: sum(map(_is_closed, opened)) == 20, seconds=5)
        assert not any(map(_is_closed, of_proxy)), "a proxy has the connections of many people"
        assert site.status("127.0.0.2") == site.status(PROXY) == 200
        with pytest.raises((ConnectionError, ssl.SSLError)):
            site.status("127.0.0.1")
        wait_for("all are closed", lambda: all(map(_is_closed, opened + of_proxy)), seconds=_SILENT_S)
        assert site.status("127.0.0.1") == 200


def test_a_request_that_does_not_arrive_is_not_waited_for(site: Site) -> None:
    head = b"POST /login HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n"
    with site.encrypted() as silent, site.encrypted() as half, site.encrypted() as bodiless, site.encrypted() as idle:
        half.sendall(head)
        bodiless.sendall(head + b"\r\nname=")
        idle.sendall(b"GET /v1/health HTTP/1.1\r\nhost: x\r\n\r\n")
        assert idle.recv(4096).startswith(b"HTTP/1.1 200")
        assert 5 < _ends_after(silent) < _SILENT_S
        # They began at the same time.
        assert _ends_after(half) + _ends_after(bodiless) < _SILENT_S
        # Between two requests there is more time, but a byte of the next one does not prolong it for ever.
        idle.sendall(b"G")
        assert 5 < _ends_after(idle) < _SILENT_S
