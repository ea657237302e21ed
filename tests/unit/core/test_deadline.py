"""A conversation ends in time whatever the peer does, plain and below TLS."""

from __future__ import annotations

import http.client
import smtplib
import socket
import time
from collections.abc import Callable

import pytest

from obsctl.core.deadline import Deadline
from rig.peers import peer


def drip(line: socket.socket) -> None:
    """Send a byte now and then, for ever."""
    while True:
        line.sendall(b"2")
        time.sleep(0.05)


def endless_body(line: socket.socket) -> None:
    line.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    drip(line)


def ask_http(deadline: Deadline, port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.sock = deadline.connect("127.0.0.1", port)
    connection.request("GET", "/")
    connection.getresponse().read()


def ask_smtp(deadline: Deadline, port: int) -> None:
    client = smtplib.SMTP()
    client._get_socket = lambda host, number, _timeout: deadline.connect(host, number)  # type: ignore[attr-defined]
    client.connect("127.0.0.1", port)


@pytest.mark.parametrize(("talk", "ask"), [(drip, ask_http), (endless_body, ask_http), (drip, ask_smtp)])
def test_a_peer_that_trickles_is_cut(talk: Callable[..., None], ask: Callable[..., None]) -> None:
    started = time.monotonic()
    with peer(talk) as port, pytest.raises(TimeoutError), Deadline(0.4) as deadline:
        ask(deadline, port)
    assert time.monotonic() - started < 2


def test_a_conversation_that_ends_in_time_keeps_its_own_outcome() -> None:
    with peer(lambda line: line.close()) as port, pytest.raises(ConnectionError), Deadline(5) as deadline:
        ask_http(deadline, port)
    with peer(lambda line: line.sendall(b"x")) as port, Deadline(5) as deadline:
        assert deadline.connect("127.0.0.1", port).recv(1) == b"x"


def test_what_is_no_name_is_an_error_like_any_other() -> None:
    with pytest.raises(OSError, match="is no address"), Deadline(5) as deadline:
        deadline.connect("a..b", 80)
