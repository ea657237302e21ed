"""A vendor on loopback that answers as the test says, and keeps what it was sent."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from rig.http_server import answering


@dataclass
class Request:
    """What arrived."""

    path: str
    headers: dict[str, str]
    body: Any
    raw: bytes = b""


@dataclass
class Vendor:
    """The vendor's address, its answer, and what it was sent."""

    url: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b'{"errcode":0,"errmsg":"ok"}'
    #: ``slow``: no answer within the client's patience; ``reset``: the connection breaks; ``drip``: never ends;
    #: ``drip-head``: not even its headers do.
    fault: str = ""
    received: list[Request] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    def says(self, errcode: int, errmsg: str) -> None:
        self.body = json.dumps({"errcode": errcode, "errmsg": errmsg}).encode()


@contextmanager
def serving() -> Iterator[Vendor]:
    """Run a vendor on a free port of loopback."""
    state = Vendor()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            state.received.append(Request(self.path, dict(self.headers.items()), json.loads(raw), raw))
            if state.fault == "slow":
                state.released.wait(30)
                return
            if state.fault == "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.shutdown(socket.SHUT_RD)
                self.close_connection = True
                self.connection.close()
                return
            if state.fault == "drip-head":
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                while not state.released.wait(0.2):
                    self.wfile.write(b"a")
                return
            if "Date" in state.headers:
                self.send_response_only(state.status)
            else:
                self.send_response(state.status)
            for name, value in state.headers.items():
                self.send_header(name, value)
            if state.fault == "drip":
                self.end_headers()
                while not state.released.wait(0.2):
                    self.wfile.write(b" ")
                return
            self.send_header("Content-Length", str(len(state.body)))
            self.end_headers()
            self.wfile.write(state.body)

        def do_GET(self) -> None:
            state.received.append(Request(self.path, {}, None))
            self.send_response(200)
            self.end_headers()

    with answering(Handler) as state.url:
        try:
            yield state
        finally:
            state.released.set()
