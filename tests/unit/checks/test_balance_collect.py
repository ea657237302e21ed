"""What the balancer's answers are counted as, against a server that misbehaves."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from obsctl.checks.balance import collect as lb
from obsctl.checks.balance.snapshot import BalancerSnapshot
from obsctl.fleet.model import Fleet, Vip

HEAD = b"HTTP/1.1 200 OK\r\nX-Backend-Server: node1\r\n"


@contextmanager
def serving(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """Answer each connection by the function, which gets it with the request already read."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def run() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection, suppress(OSError):
                        connection.recv(65_536)
                        answer(connection)

        threading.Thread(target=run, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def ask(answer: Callable[[socket.socket], None], requests: int = 2) -> BalancerSnapshot:
    with serving(answer) as port:
        return lb.collect_balancer(Fleet(vip=Vip(address="127.0.0.1", port=port)), requests=requests)


def trickle(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"Content-Length: 100000\r\n\r\n")
    for _ in range(100):
        connection.sendall(b"x")
        time.sleep(0.05)


def flood(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"\r\n")
    while True:
        connection.sendall(b"x" * 65_536)


@pytest.mark.parametrize("answer", [trickle, flood])
def test_a_body_without_an_end_is_no_answer_in_time(
    answer: Callable[[socket.socket], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lb, "REQUEST_DEADLINE_S", 0.3)
    seen = ask(answer)
    assert (seen.answered, seen.failures) == (0, {"no answer in time": 2})


@pytest.mark.parametrize(
    "rest",
    [b"Content-Length: 100\r\n\r\nhalf", b"Transfer-Encoding: chunked\r\n\r\n5\r\nab", b"X: " + b"x" * 99_999],
)
def test_an_answer_that_is_cut_is_no_answer(rest: bytes) -> None:
    seen = ask(lambda connection: connection.sendall(HEAD + rest))
    assert seen.answered == 0
    assert sum(seen.failures.values()) == 2


@pytest.mark.parametrize(
    "rest", [b"Content-Length: 4\r\n\r\nbody", b"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", b"\r\nbody"]
)
def test_a_whole_answer_counts(rest: bytes) -> None:
    seen = ask(lambda connection: connection.sendall(HEAD + rest))
    assert [(tally.name, tally.answers) for tally in seen.backends] == [("node1", 2)]
