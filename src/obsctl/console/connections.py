"""The console's connections: one address has only a share of them, and one on which no request arrives is closed.

Without this, some hundred connections that send nothing would keep everybody out, without a login.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable
from typing import Any, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

#: The most connections at the same time; with a further one, requests are answered with 503.
MOST = 500
#: How many of them one address may have, unless it is a trusted proxy.
MOST_OF_ADDRESS = MOST // 2
#: Time limits, seconds: for the beginning and the end of TLS, and for a request, from its first byte on or from the
#: beginning of its connection.
_TLS_S = _REQUEST_S = 10.0


class Listener(socket.socket):
    """A listening socket that takes from one address only so many connections at the same time.

    Args:
        family: of the socket.
        is_proxy: whether an address is a trusted proxy, which may have all connections.
    """

    def __init__(self, family: int, is_proxy: Callable[[str], bool]) -> None:
        super().__init__(family, socket.SOCK_STREAM)
        self._is_proxy = is_proxy
        self._taken: Counter[str] = Counter()

    def accept(self) -> tuple[socket.socket, Any]:
        """Return the next connection, and where it comes from.

        Raises:
            ConnectionAbortedError: its address has too many, and it was closed. The event loop continues with the next
                one, as after a client that has hung up.
        """
        accepted, place = super().accept()
        address = place[0]
        if self._taken[address] >= MOST_OF_ADDRESS and not self._is_proxy(address):
            accepted.close()
            raise ConnectionAbortedError(f"{address} has {MOST_OF_ADDRESS} connections")
        self._taken[address] += 1
        return _Counted(accepted, lambda: self._give_back(address)), place

    def _give_back(self, address: str) -> None:
        self._taken -= Counter((address,))  # drops a count of 0


class _Counted(socket.socket):
    """A connection whose end is reported."""

    def __init__(self, accepted: socket.socket, ended: Callable[[], None]) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, accepted.detach())
        self._ended: Callable[[], None] | None = ended

    def close(self) -> None:
        """Close it."""
        super().close()
        if self._ended is not None:
            self._ended()
            self._ended = None


def listen(address: str, port: int, is_proxy: Callable[[str], bool]) -> list[socket.socket]:
    """Return a listening socket for each address of a name.

    Args:
        address: an address or a name.
        port: its port.
        is_proxy: as of :class:`Listener`.

    Raises:
        OSError: it is no address of this machine, or the port is in use.
    """
    listeners: list[socket.socket] = []
    found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    for family, place in dict.fromkeys((family, place) for family, *_, place in found):
        listener = Listener(family, is_proxy)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(place)
        listeners.append(listener)
    return listeners


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose servers wait only so long for a client's part of TLS; uvicorn has no option for that."""

    async def create_server(self, *arguments: Any, **options: Any) -> asyncio.Server:
        """Return a server, as the base class does."""
        if options.get("ssl") is not None:
            options |= {"ssl_handshake_timeout": _TLS_S, "ssl_shutdown_timeout": _TLS_S}
        return await super().create_server(*arguments, **options)


class Protocol(H11Protocol):
    """A connection that is dropped if a request does not arrive in time, with its body.

    uvicorn limits only the time between two requests, and drops that limit with the first byte of the next one.
    """

    _limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin with a connection."""
        super().connection_made(cast("asyncio.Transport", transport))
        self._limit_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """End with it."""
        super().connection_lost(exc)
        self._unlimited()

    def handle_events(self) -> None:
        """Take what has arrived, also of the next request while the last one was answered."""
        super().handle_events()
        self._limit_request()

    def _limit_request(self) -> None:
        is_idle = self.timeout_keep_alive_task is not None
        if is_idle or self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._unlimited()
        elif self._limit is None:
            self._limit = self.loop.call_later(_REQUEST_S, self.transport.abort)

    def _unlimited(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None
