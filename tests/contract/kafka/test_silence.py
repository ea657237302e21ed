"""How a broker is silent, seen on real sockets: each kind has another cause, and another hint."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from obsctl.checks.kafka import wire
from obsctl.checks.kafka.snapshot import MUTE, REFUSED, TLS, UNNAMED, UNREACHABLE
from rig.peers import peer
from rig.ports import free_port
from tests.contract.alerter.network import Authority


def silence(port: int, *, host: str = "127.0.0.1", seconds: float = 2.0) -> wire.BrokerSilentError:
    with pytest.raises(wire.BrokerSilentError) as caught:
        wire.Conversation(host, port, time.monotonic() + seconds)
    return caught.value


def test_a_closed_port() -> None:
    assert silence(free_port()).kind == REFUSED


def test_a_process_that_hangs_takes_the_connection_and_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        found = silence(server.getsockname()[1], seconds=0.2)
    assert (found.kind, str(found)) == (MUTE, "accepts the connection, but no answer in time")


def test_a_listener_that_speaks_tls_is_named_as_that(tmp_path: Path) -> None:
    with Authority(tmp_path).serving(lambda line: line.close()) as port:
        found = silence(port)
    assert (found.kind, str(found)) == (TLS, "the port expects TLS, but obsctl connects without it")


def test_a_tls_alert_in_answer_to_clear_text_is_recognised() -> None:
    """Java's listeners send one before they close."""

    def alert(line: socket.socket) -> None:
        line.recv(1)
        line.sendall(b"\x15\x03\x03\x00\x02\x02\x0a")

    with peer(alert) as port:
        assert silence(port).kind == TLS


@pytest.mark.parametrize(
    "talk",
    [
        lambda line: line.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
        lambda line: line.recv(1),
        lambda line: line.recv(65536),
        lambda line: line.shutdown(socket.SHUT_WR),
        lambda line: line.sendall(b"SSH-2.0-OpenSSH_9.2\r\n"),
    ],
)
def test_what_is_neither_kafka_nor_tls_is_no_tls(talk: Callable[[socket.socket], None]) -> None:
    with peer(talk) as port:
        assert silence(port).kind == ""


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (socket.gaierror(-2, "Name or service not known"), UNNAMED),
        (UnicodeError("label too long"), UNNAMED),
        (TimeoutError(), UNREACHABLE),
        (OSError(113, "No route to host"), UNREACHABLE),
        (OSError(13, "Permission denied"), ""),
    ],
)
def test_what_the_system_says_of_a_connection(error: Exception, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> socket.socket:
        raise error

    monkeypatch.setattr(socket, "create_connection", refuse)
    assert silence(9092).kind == kind
