"""The identity of a line: the same line of the same file is the same row, however often and wherever it arrives.

BLAKE2b (RFC 7693) with 128 bits of output over host, input, byte offset and the line's bytes; where the shipper says
that the input has several logs, also over the log's path, as it is before a rotation renames the file. Host, input and
path are preceded by their lengths, so that no two origins can be written as the same bytes. Neither the file's present
path nor a request id (clients choose it) nor the text alone (real logs hold identical lines) would do.

"The line's bytes" are those of the envelope's ``message`` as Kafka delivers them, in UTF-8: a shipper replaces bytes
that are no UTF-8 before it sends, and does so the same way when it sends again.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b

#: Bytes of an identity: 128 bits, so that even 10^12 lines collide with a probability below 10^-14.
SIZE = 16


@lru_cache(maxsize=4096)
def _origin(host: str, log_input: str, log_file: str) -> bytes:
    parts = [host, log_input, log_file] if log_file else [host, log_input]
    kind = "log" if log_file else "line"
    return f"{kind}\0{''.join(f'{len(part.encode())}:{part}' for part in parts)}".encode()


@lru_cache(maxsize=4096)
def of_origin(host: str, log_input: str, log_file: str = "") -> blake2b:
    """Return a hash that has taken the origin, for :func:`of_line`; it is shared and must not be changed.

    Args:
        log_file: the log's path, for an input of several logs; else empty.
    """
    return blake2b(_origin(host, log_input, log_file), digest_size=SIZE)


def of_line(begun: blake2b, offset: int, line: str) -> bytes:
    """Return the identity of the line that begins at byte ``offset`` of the log that ``begun`` is of."""
    digest = begun.copy()
    digest.update(f"{offset}:{line}".encode())
    return digest.digest()


def of_broken_line(host: str, log_input: str, log_file: str, offset: int, message: bytes) -> bytes:
    """Return the identity of a record that names its origin but carries no readable line.

    Args:
        log_file: see :func:`of_origin`.
        message: what stands in the line's place, raw: a log and its rotated file begin at the same offset. Not the
            whole record, because a resend has another time stamp.
    """
    return blake2b(
        b"broken\0%s%d:%s" % (_origin(host, log_input, log_file), offset, message), digest_size=SIZE
    ).digest()


def of_record(cluster_id: str, topic: str, partition: int, offset: int, value: bytes) -> bytes:
    """Return the identity of a record that names no origin: its place in Kafka, so each one is kept once.

    Args:
        value: the record's; a topic that was deleted and created again has other records in the same places.
    """
    place = f"record\0{cluster_id}\0{topic}\0{partition}\0{offset}\0"
    return blake2b(place.encode() + value, digest_size=SIZE).digest()
