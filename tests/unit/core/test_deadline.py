"""A conversation ends in time whatever the peer does, plain and below TLS."""

from __future__ import annotations

import http.client
import smtplib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

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
    with pytest.raises(OSError, match="is not an address"), Deadline(5) as deadline:
        deadline.connect("a..b", 80)


def test_a_resolver_that_does_not_answer_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, over = threading.Event(), threading.Event()

    def hang(*_: object, **__: object) -> None:
        asked.set()
        over.wait(30)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    with pytest.raises(TimeoutError), Deadline(0.3) as deadline:
        deadline.connect("robot.example", 443)
    assert asked.is_set()
    over.set()


def test_an_address_that_does_not_answer_leaves_time_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    with peer(lambda line: line.sendall(b"x")) as port, full_listener() as silent:
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", number)) for number in (silent, port)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        with Deadline(4) as deadline:
            assert deadline.connect("two.example", 1, at_most_s=1).recv(1) == b"x"


@contextmanager
def full_listener() -> Iterator[int]:
    """A port whose queue is full: connecting to it gets no answer."""
    with socket.socket() as listener, ExitStack() as waiting:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(2):
            line = waiting.enter_context(socket.socket())
            line.setblocking(False)
            line.connect_ex(listener.getsockname())
        yield int(listener.getsockname()[1])
