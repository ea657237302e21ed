"""Peers on loopback that say what a test wants."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


@contextmanager
def peer(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """Run the function on each connection to a port of loopback."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    line, _ = server.accept()
                    threading.Thread(target=run, args=(line,), daemon=True).start()

        def run(line: socket.socket) -> None:
            with line, suppress(OSError):
                talk(line)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
