"""A time limit for a whole network conversation, whatever library makes it.

Libraries limit the wait for each packet: a peer that sends a byte now and then keeps them waiting for ever. Here the
sockets themselves are shut down at the deadline, which every library notices, even below TLS.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

_Address = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]


class Deadline:
    """Limits the time of a conversation, from entering the block to leaving it.

    Args:
        seconds: from now on.

    Raises:
        TimeoutError: on leaving the block, if the connection was shut down; it replaces the library's result, which
            may be an error or an answer that only looks complete.
    """

    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._lines: list[socket.socket] = []
        self._over = False
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> Deadline:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        with self._lock:
            for line in self._lines:
                line.close()
            self._lines.clear()
            cut = self._over
        if cut and (error is None or isinstance(error, Exception)):
            raise TimeoutError("the deadline for the whole exchange has passed") from error

    def connect(self, host: str, port: int, *, at_most_s: float = float("inf")) -> socket.socket:
        """Return a connection that is shut down at the deadline.

        Args:
            host: address or name.
            port: TCP port.
            at_most_s: time limit for connecting, seconds.

        Raises:
            TimeoutError: no connection in time, including resolving the name.
            OSError: the name does not resolve, the port is closed, there is no route.
        """
        ends = min(self._ends, time.monotonic() + at_most_s)
        addresses = _resolve(host, port, ends)
        connection = self._first_that_answers(addresses, ends)
        self.watch(connection)
        return connection

    def watch(self, connection: socket.socket) -> None:
        """Shut down an already open connection at the deadline."""
        connection.settimeout(max(0.001, self._left()))
        with self._lock:
            # A second descriptor, because TLS takes over the first one; shutting down affects the connection, not only
            # the descriptor. An ssl.SSLSocket has no dup().
            self._lines.append(socket.fromfd(connection.fileno(), connection.family, connection.type))
            over = self._over
        if over:
            self._cut()

    @staticmethod
    def _first_that_answers(addresses: Sequence[_Address], ends: float) -> socket.socket:
        """Connect to the first address that answers; the time is divided among the addresses."""
        fault: OSError = OSError("the name has no address")
        for number, (family, kind, protocol, _, address) in enumerate(addresses):
            connection = None
            try:
                connection = socket.socket(family, kind, protocol)
                connection.settimeout(max(0.001, (ends - time.monotonic()) / (len(addresses) - number)))
                connection.connect(address)
            except OSError as error:
                fault = error
                if connection is not None:
                    connection.close()
            else:
                return connection
        raise fault

    def _left(self) -> float:
        return self._ends - time.monotonic()

    def _cut(self) -> None:
        with self._lock:
            self._over = True
            for line in self._lines:
                with contextlib.suppress(OSError):
                    line.shutdown(socket.SHUT_RDWR)


def _resolve(host: str, port: int, ends: float) -> Sequence[_Address]:
    """Return the addresses of a host.

    The resolver has its own timeout, half a minute if no name server answers, and cannot be interrupted: so it runs in
    a separate thread, which is abandoned at the deadline.

    Args:
        ends: by the monotonic clock, seconds.

    Raises:
        TimeoutError: no answer in time.
        OSError: there is no such host.
    """
    answers: queue.SimpleQueue[Sequence[_Address] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except OSError as error:
            answers.put(error)
        except UnicodeError:
            answers.put(OSError(f"{host}:{port} is not an address"))

    threading.Thread(target=ask, name="resolve", daemon=True).start()
    try:
        answer = answers.get(timeout=max(0.001, ends - time.monotonic()))
    except queue.Empty:
        raise TimeoutError(f"the name {host} was not resolved in time") from None
    if isinstance(answer, OSError):
        raise answer
    return answer
