"""Ports of loopback."""

from __future__ import annotations

import random
import socket

#: Below the ports that the kernel gives to outgoing connections (32,768 and more), one of which could take ours.
_CHOICE = range(12_000, 32_000)
#: Not the common generator, which Hypothesis seeds alike in each test process.
_random = random.SystemRandom()
_given: set[int] = set()


def free_port() -> int:
    """Return a loopback port that was free a moment ago, and another one each time.

    Two listeners of one server must not share it.
    """
    while True:
        port = _random.choice(_CHOICE)
        if port in _given:
            continue
        _given.add(port)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
