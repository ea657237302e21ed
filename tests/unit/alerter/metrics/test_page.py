"""A page of numbers: what is taken from it, and what is no such page."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable

import pytest

from obsctl.alerter.metrics import page
from obsctl.alerter.metrics.page import UnreadableError, fetch, numbers
from obsctl.alerter.windows.observation import SOURCE, Number
from obsctl.core import serve
from obsctl.core.serve import Health, Metric, Sample
from rig.peers import peer
from rig.ports import free_port

OURS = serve.exposition(
    "x",
    [
        Metric("lag", "gauge", 'with "quotes"\nand lines', [Sample(5, {"topic": 'a"b\\c\n', "partition": "0"})]),
        serve.single("up", "gauge", "Up.", 1),
        serve.histogram("seconds", "Time.", [0.5], [3, 1], 2.5),
        serve.single("unknown", "gauge", "Not known.", None),
    ],
)


def test_our_own_pages_are_read_as_they_were_meant() -> None:
    found = numbers("a", OURS, {"x_lag", "x_up", "x_seconds_bucket", "x_unknown"})
    assert found == (
        Number("x_lag", {"topic": 'a"b\\c\n', "partition": "0", SOURCE: "a"}, 5.0),
        Number("x_up", {SOURCE: "a"}, 1.0),
        Number("x_seconds_bucket", {"le": "0.5", SOURCE: "a"}, 3.0),
        Number("x_seconds_bucket", {"le": "+Inf", SOURCE: "a"}, 4.0),
    )


def test_only_what_rules_ask_for_is_looked_at() -> None:
    assert numbers("a", "x_up 1\nx_up_or_down no number at all\nbroken{\n", {"x_up"}) == (
        Number("x_up", {SOURCE: "a"}, 1.0),
    )


def test_what_is_not_finite_is_not_there() -> None:
    assert numbers("a", 'x NaN\nx{a="b"} +Inf\n', {"x"}) == ()


def test_a_label_of_the_page_cannot_pretend_to_be_another_source() -> None:
    assert numbers("a", 'x{source="b"} 1\n', {"x"})[0].labels == {SOURCE: "a"}


@pytest.mark.parametrize("text", ["x one\n", 'x{a="b" 1\n', "x\n", "x{a=b} 1\n"])
def test_what_is_no_number_is_said(text: str) -> None:
    with pytest.raises(UnreadableError, match="not in Prometheus' text format"):
        numbers("a", text, {"x"})


def test_a_page_has_so_many_numbers_at_the_most() -> None:
    with pytest.raises(UnreadableError, match="more than 5,000 numbers"):
        numbers("a", "".join(f'x{{n="{n}"}} 1\n' for n in range(page.MOST_NUMBERS + 1)), {"x"})


def test_the_page_of_a_daemon_is_fetched() -> None:
    server = serve.Server("127.0.0.1", 0, health=lambda: Health(True, b"{}"), metrics=lambda: OURS)
    try:
        (found,) = fetch("a", f"http://127.0.0.1:{server.port}/metrics", {"x_up"})
        assert found.value == 1
        with pytest.raises(UnreadableError, match="HTTP 404"):
            fetch("a", f"http://127.0.0.1:{server.port}/elsewhere", {"x_up"})
    finally:
        server.stop()
    with pytest.raises(UnreadableError, match="nothing listens there"):
        fetch("a", f"http://127.0.0.1:{free_port()}/metrics", {"x_up"})


def answering(*pieces: bytes, endless: bytes = b"") -> Callable[[socket.socket], None]:
    """Return a peer that sends pieces to each client, and then repeats the last one for ever."""

    def talk(line: socket.socket) -> None:
        line.recv(4096)
        for piece in pieces:
            line.sendall(piece)
        while endless:
            line.sendall(endless)

    return talk


HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


@pytest.mark.parametrize(
    ("talk", "words"),
    [
        (answering(b"220 mail.example.com ESMTP\r\n"), "not an HTTP server"),
        (answering(b""), "does not answer"),
        (answering(HEAD, endless=b"# " + b"x" * 65_000 + b"\n"), "longer than 2,097,152 bytes"),
        (answering(b"HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\n\r\n"), "HTTP 302"),
    ],
)
def test_what_is_no_page_is_said(talk: Callable[[socket.socket], None], words: str) -> None:
    def quietly(line: socket.socket) -> None:
        with contextlib.suppress(OSError):
            talk(line)

    with peer(quietly) as port, pytest.raises(UnreadableError, match=words):
        fetch("a", f"http://127.0.0.1:{port}/", {"x"})


def test_a_page_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "TOTAL_S", 0.4)
    over = threading.Event()

    def drip(line: socket.socket) -> None:
        with contextlib.suppress(OSError):
            line.sendall(HEAD)
            while not over.wait(0.05):
                line.sendall(b"#")

    try:
        with peer(drip) as port, pytest.raises(UnreadableError, match="no complete answer within"):
            fetch("a", f"http://127.0.0.1:{port}/", {"x"})
    finally:
        over.set()
