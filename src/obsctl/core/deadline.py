"""One limit by the clock for a whole conversation, whatever library holds it.

Libraries bound each packet: a peer that sends a byte now and then keeps them waiting for ever. Here the sockets
themselves are shut down when the time is over, which every library notices, also below TLS.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from types import TracebackType


class Deadline:
    """The time that one conversation has, from entering the block to leaving it.

    Args:
        seconds: from now on.

    Raises:
        TimeoutError: on leaving the block, if the conversation was cut; it takes the place of whatever the library
            made of the cut, a failure or an answer that only looks complete.
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
            raise TimeoutError("the time for the whole conversation is over") from error

    def connect(self, host: str, port: int, *, at_most_s: float = float("inf")) -> socket.socket:
        """Return a connection that is shut down when the time is over.

        Args:
            host: address or name.
            port: TCP port.
            at_most_s: seconds for connecting alone.

        Raises:
            TimeoutError: no connection in time.
            OSError: the name does not resolve, the port is closed, there is no route.
        """
        try:
            connection = socket.create_connection((host, port), timeout=max(0.001, min(self._left(), at_most_s)))
        except UnicodeError:
            raise OSError(f"{host}:{port} is no address") from None
        connection.settimeout(max(0.001, self._left()))
        with self._lock:
            # A second descriptor: TLS takes the first one over, and shutting down means the connection, not it.
            self._lines.append(connection.dup())
            over = self._over
        if over:
            self._cut()
        return connection

    def _left(self) -> float:
        return self._ends - time.monotonic()

    def _cut(self) -> None:
        with self._lock:
            self._over = True
            for line in self._lines:
                with contextlib.suppress(OSError):
                    line.shutdown(socket.SHUT_RDWR)
