"""What can be read on the lab's links: a recorder of texts in the packets of its guests."""

from __future__ import annotations

import re
import socket
import struct
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

_ETH_P_ALL = 3
_IPV4 = 0x0800
_TCP, _UDP = 6, 17
#: A packet that the network card joins from several (GRO) is at most this long, bytes.
_LONGEST = 65_600
#: A text may lie across the border of two packets; no text is longer than this, bytes.
_TAIL = 512


class Flow(NamedTuple):
    """One direction of a connection."""

    source: str
    source_port: int
    target: str
    target_port: int


@dataclass
class Recorder:
    """Texts that were seen, and where.

    Attributes:
        packets: how many TCP and UDP packets with a payload passed.
        seen: by text, the flows in which it could be read.
    """

    pattern: re.Pattern[bytes]
    packets: int = 0
    seen: dict[str, set[Flow]] = field(default_factory=dict)
    _tails: dict[tuple[str, Flow], bytes] = field(default_factory=dict)

    def take(self, link: str, frame: bytes) -> None:
        """Look at one Ethernet frame of a link."""
        found = _payload(frame)
        if found is None:
            return
        flow, payload = found
        self.packets += 1
        text = self._tails.get((link, flow), b"") + payload
        for match in self.pattern.finditer(text):
            self.seen.setdefault(match[0].decode("latin-1"), set()).add(flow)
        self._tails[link, flow] = text[-_TAIL:]


def _payload(frame: bytes) -> tuple[Flow, bytes] | None:
    """Return flow and payload of a TCP or UDP packet over IPv4 (RFC 791, 793, 768); None of any other."""
    if len(frame) < 34 or struct.unpack_from("!H", frame, 12)[0] != _IPV4:
        return None
    header = (frame[14] & 0x0F) * 4
    end = 14 + struct.unpack_from("!H", frame, 16)[0]
    start = 14 + header
    if frame[23] == _TCP:
        size = (frame[start + 12] >> 4) * 4
    elif frame[23] == _UDP:
        size = 8
    else:
        return None
    payload = frame[start + size : end]
    if not payload:
        return None
    source_port, target_port = struct.unpack_from("!HH", frame, start)
    source, target = socket.inet_ntoa(frame[26:30]), socket.inet_ntoa(frame[30:34])
    return Flow(source, source_port, target, target_port), payload


@contextmanager
def recording(links: Iterable[str], texts: Iterable[str]) -> Iterator[Recorder]:
    """Record which of some texts can be read on some links of this machine (Linux, root), until the block ends.

    Raises:
        OSError: a link does not exist, or this process may not listen.
    """
    pattern = re.compile(b"|".join(sorted((re.escape(text.encode()) for text in texts), key=len, reverse=True)))
    recorder, over = Recorder(pattern), threading.Event()
    lock = threading.Lock()

    def listen(link: str, raw: socket.socket) -> None:
        with raw:
            while not over.is_set():
                try:
                    frame = raw.recv(_LONGEST)
                except TimeoutError:
                    continue
                with lock:
                    recorder.take(link, frame)

    threads = []
    try:
        for link in links:
            raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 20)
            raw.settimeout(0.2)
            raw.bind((link, 0))
            threads.append(threading.Thread(target=listen, args=(link, raw), daemon=True))
            threads[-1].start()
        yield recorder
    finally:
        over.set()
        for thread in threads:
            thread.join(5)
