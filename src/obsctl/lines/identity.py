"""The identity of a line: the same line of the same file is the same row, however often and wherever it arrives.

BLAKE2b (RFC 7693) with 128 bits of output over host, input, byte offset and the line's bytes; if the shipper says that
the input has several logs, also over the log's path from before a rotation renames the file. Host, input and path are
preceded by their lengths, so that different origins never give the same bytes. Neither the file's present path, nor a
request id (clients choose it), nor the text alone (real logs have identical lines) would be enough.

"The line's bytes" are those of the envelope's ``message`` from Kafka, in UTF-8: a shipper replaces invalid UTF-8
before it sends, and does so in the same way when it sends again.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b

#: Size of an identity, bytes: with 128 bits, even 10^12 lines collide with a probability below 10^-14.
SIZE = 16


@lru_cache(maxsize=4096)
def _origin(host: str, log_input: str, log_file: str) -> bytes:
    parts = [host, log_input, log_file] if log_file else [host, log_input]
    kind = "log" if log_file else "line"
    return f"{kind}\0{''.join(f'{len(part.encode())}:{part}' for part in parts)}".encode()


@lru_cache(maxsize=4096)
def of_origin(host: str, log_input: str, log_file: str = "") -> blake2b:
    """Return a hash of the origin, for :func:`of_line`; it is shared and must not be changed.

    Args:
        log_file: the log's path, for an input of several logs; otherwise empty.
    """
    return blake2b(_origin(host, log_input, log_file), digest_size=SIZE)


def of_line(begun: blake2b, offset: int, line: str) -> bytes:
    """Return the identity of the line at byte ``offset`` of the log whose origin is in ``begun``."""
    digest = begun.copy()
    digest.update(f"{offset}:{line}".encode())
    return digest.digest()


def of_broken_line(host: str, log_input: str, log_file: str, offset: int, message: bytes) -> bytes:
    """Return the identity of a record that has an origin but no readable line.

    Args:
        log_file: see :func:`of_origin`.
        message: the raw value in place of the line: a log and its rotated file begin at the same offset. Not the whole
            record, because a resend has another timestamp.
    """
    return blake2b(
        b"broken\0%s%d:%s" % (_origin(host, log_input, log_file), offset, message), digest_size=SIZE
    ).digest()


def of_record(cluster_id: str, topic: str, partition: int, offset: int, value: bytes) -> bytes:
    """Return the identity of a record without an origin, by its place in Kafka, so that each one is stored once.

    Args:
        value: of the record; a topic that is created again has other records at the same places.
    """
    place = f"record\0{cluster_id}\0{topic}\0{partition}\0{offset}\0"
    return blake2b(place.encode() + value, digest_size=SIZE).digest()
