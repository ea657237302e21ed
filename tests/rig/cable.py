"""A cable between two processes: it can be pulled, and it knows at which statement of a transaction to do so.

A TCP proxy on loopback. What a pulled cable loses, TCP sends again, so bytes only wait here; a cut connection is
silent, without a FIN. The database's cable reads the client's statements (no TLS, no compression), so that a fault can
be put at one place of the transaction, every time.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import socket
import struct
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
_CHUNK = 64 * 1024
_CALL_SECONDS = 20.0


class Place(enum.Enum):
    """Where a consumer is with its database."""

    POSITIONS = "it asks where its partitions go on"
    FENCE = "before its transaction"
    INSERT = "inside its transaction, before the rows"
    ROLL_UP = "inside its transaction, behind the rows"
    COMMIT = "before its commit"
    COMMITTED = "after its commit, before it knows"
    MOVE = "inside the transaction of a replay"
    NAMING = "it names its topics after a migration"


class Trap:
    """Holds the connection that reaches a place first, until it is released."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.cable: Cable | None = None
        self._sprung = threading.Event()
        self._claimed = threading.Lock()
        self._link: _Link | None = None

    def wait(self, timeout: float) -> bool:
        """Wait for the first connection that reaches the place."""
        return self._sprung.wait(timeout)

    def release(self) -> None:
        """Let the connection go on as if nothing had been."""
        assert self.cable is not None
        self.cable.call(self._end(whole=True))

    def drop(self) -> None:
        """Throw away what is held, and reset the connection."""
        assert self.cable is not None
        self.cable.call(self._end(whole=False))

    async def _end(self, *, whole: bool) -> None:
        assert self._link is not None
        if not whole:
            self._link.reset()
        self._link.released.set()

    def _spring(self, link: _Link) -> None:
        """Take the connection, unless another one was first."""
        if self._claimed.acquire(blocking=False):
            self._link, self.cable = link, link.cable
            link.released.clear()
            self._sprung.set()


class _Link:
    """One connection: both of its ends, and where its client is in its transaction."""

    def __init__(self, cable: Cable, ends: tuple[asyncio.StreamWriter, asyncio.StreamWriter]) -> None:
        self.cable = cable
        self.released = asyncio.Event()
        self.released.set()
        self._ends = ends
        self._buffer = b""
        self._fenced = False
        self._hold_answer = False

    def reset(self) -> None:
        """Close both ends with an RST."""
        for writer in self._ends:
            with contextlib.suppress(OSError, AttributeError):
                raw: socket.socket = writer.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, asks: bool) -> None:
        """Pass on what comes, in one direction, and its end."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while data := await reader.read(_CHUNK):
                if not asks and self._hold_answer:
                    self._hold_answer = False
                    if self.cable.trap is not None:
                        self.cable.trap._spring(self)
                for piece in self._packets(data) if asks and self.cable.is_databases else [data]:
                    if asks:
                        self._look(piece)
                    await self._passable()
                    writer.write(piece)
                await writer.drain()
        await self._passable()
        writer.close()

    async def _passable(self) -> None:
        await self.released.wait()
        await self.cable.passable.wait()

    def _packets(self, data: bytes) -> list[bytes]:
        """Return the whole packets that are there; what is left waits for its rest."""
        self._buffer += data
        packets = []
        while len(self._buffer) >= 4:
            size = 4 + int.from_bytes(self._buffer[:3], "little")
            if len(self._buffer) < size:
                break
            packets.append(self._buffer[:size])
            self._buffer = self._buffer[size:]
        return packets

    def _look(self, packet: bytes) -> None:
        """Let a packet of the client spring the trap, if it is of the trap's place."""
        trap = self.cable.trap
        place = self._place(packet) if self.cable.is_databases else None
        if trap is None or place is None:
            return
        if trap.place is Place.COMMITTED:
            self._hold_answer = place is Place.COMMIT
        elif place is trap.place:
            trap._spring(self)

    def _place(self, packet: bytes) -> Place | None:
        """Tell a packet's place by its statement; the number behind the length says whether it begins a command."""
        if packet[3] != 0:
            return None
        text = packet[5:64]
        if text.startswith(b"UPDATE log_source SET next_offset"):
            self._fenced = True
            return Place.FENCE
        if text.startswith(b"SELECT"):
            return Place.POSITIONS if text.startswith(b"SELECT topic,partition_id,topic_id,source_id") else None
        if text.startswith(b"DELETE FROM quarantine"):
            return Place.MOVE
        if text.startswith(b"UPDATE log_source SET topic_id"):
            return Place.NAMING
        if not self._fenced:
            return None
        if text.startswith((b"COMMIT", b"ROLLBACK")):
            self._fenced = False
            return Place.COMMIT if text.startswith(b"COMMIT") else None
        return Place.ROLL_UP if text.startswith(b"INSERT INTO rollup_") else Place.INSERT


class Cable:
    """Leads from a port of its own to a server's.

    Args:
        target: the server's port.
        is_databases: the client speaks MySQL's protocol.
    """

    def __init__(self, target: int, *, is_databases: bool = False) -> None:
        self.target, self.is_databases = target, is_databases
        self.trap: Trap | None = None
        self._links: set[_Link] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="cable", daemon=True)
        self._thread.start()
        self.passable = self.call(self._make_event())
        self._server = self.call(asyncio.start_server(self._accept, "127.0.0.1", 0))
        self.port = int(self._server.sockets[0].getsockname()[1])

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something in the cable's thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_CALL_SECONDS)

    def cut(self) -> None:
        """Let nothing pass any more, neither bytes nor the end of a connection."""
        self._loop.call_soon_threadsafe(self.passable.clear)

    def heal(self) -> None:
        """Let pass what waits."""
        self._loop.call_soon_threadsafe(self.passable.set)

    def reset(self) -> None:
        """Reset every connection."""
        self.call(self._reset())

    def silence(self) -> None:
        """Let the connections of now never pass anything again: their other end is a host that has crashed."""
        self.call(self._silence())

    def close(self) -> None:
        """Reset every connection and take none any more."""
        self.call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CALL_SECONDS)
        self._loop.close()

    async def _make_event(self) -> asyncio.Event:
        event = asyncio.Event()
        event.set()
        return event

    async def _reset(self) -> None:
        for link in list(self._links):
            link.reset()
            link.released.set()

    async def _silence(self) -> None:
        for link in self._links:
            link.released.clear()

    async def _close(self) -> None:
        self._server.close()
        self.passable.set()
        await self._reset()
        current = asyncio.current_task()
        rest = [task for task in asyncio.all_tasks() if task is not current]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for wait in (0.2, 0.4, 0.8, 0.0):
            await self.passable.wait()
            try:
                server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self.target)
                break
            except OSError:
                # Nothing listens. A refusal directly after the handshake makes clients retry without a pause.
                await asyncio.sleep(wait)
        else:
            writer.transport.abort()
            return
        link = _Link(self, (writer, server_writer))
        self._links.add(link)
        try:
            await asyncio.gather(
                link.pump(reader, server_writer, asks=True), link.pump(server_reader, writer, asks=False)
            )
        except asyncio.CancelledError:
            pass  # the cable is taken away
        finally:
            self._links.discard(link)
