"""Requests one after the other on a kept connection."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from obsctl.checks.ask.http import KeptConnection

ANSWERS = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
]


@contextmanager
def serving(answers: list[bytes]) -> Iterator[tuple[int, list[int]]]:
    """Give the answers one after the other; the list has the number of the connection of each request."""
    seen: list[int] = []
    waiting = list(answers)

    def run(server: socket.socket) -> None:
        number = 0
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                number += 1
                with connection, suppress(OSError):
                    while connection.recv(65_536):
                        if not waiting:
                            continue  # silent, and the connection stays
                        seen.append(number)
                        answer = waiting.pop(0)
                        connection.sendall(answer)
                        if b"close" in answer or b"half" in answer:
                            break

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=run, args=(server,), daemon=True).start()
        yield server.getsockname()[1], seen
        server.shutdown(socket.SHUT_RDWR)


def test_all_go_through_one_connection() -> None:
    with serving(ANSWERS * 2) as (port, seen):
        kept = KeptConnection("127.0.0.1", port)
        statuses = [kept.get("/", deadline_s=5).status for _ in range(8)]
        kept.close()
    assert statuses == [200, 204, 200, 200] * 2
    assert seen == [1] * 8


@pytest.mark.parametrize("last", [b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"])
def test_a_connection_that_the_peer_closes_is_opened_again(last: bytes) -> None:
    with serving([ANSWERS[0], last, ANSWERS[0]]) as (port, seen):
        kept = KeptConnection("127.0.0.1", port)
        assert [kept.get("/", deadline_s=5).status for _ in range(3)] == [200] * 3
    assert seen == [1, 1, 2]


def test_after_an_answer_that_was_cut_the_next_one_is_a_new_connections() -> None:
    with serving([b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", ANSWERS[2]]) as (port, seen):
        kept = KeptConnection("127.0.0.1", port)
        with pytest.raises(http.client.IncompleteRead):
            kept.get("/", deadline_s=5)
        assert kept.get("/", deadline_s=5).status == 200
    assert seen == [1, 2]


def test_a_kept_connection_keeps_the_deadline_of_each_request() -> None:
    with serving([ANSWERS[0]]) as (port, _):
        kept = KeptConnection("127.0.0.1", port)
        kept.get("/", deadline_s=5)
        with pytest.raises(TimeoutError):
            kept.get("/", deadline_s=0.2)
