"""Ports of loopback."""

from __future__ import annotations

import socket

_given: set[int] = set()


def free_port() -> int:
    """Return a loopback port that was free a moment ago, and another one each time.

    The kernel may name a port again as soon as it is closed, and two listeners of one server must not share it.
    """
    while True:
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = int(s.getsockname()[1])
        if port not in _given:
            _given.add(port)
            return port
