"""The identity of a line: the same line of the same file is the same row, however often and wherever it arrives.

BLAKE2b (RFC 7693) with 128 bits of output over host, input, byte offset and the line's bytes. Host and input are
preceded by their lengths, so that no two origins can be written as the same bytes. Neither the path (rotation renames
it) nor a request id (clients choose it) nor the text alone (real logs hold identical lines) would do.

"The line's bytes" are those of the envelope's ``message`` as Kafka delivers them, in UTF-8: a shipper replaces bytes
that are no UTF-8 before it sends, and does so the same way when it sends again.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b

#: Bytes of an identity: 128 bits, so that even 10^12 lines collide with a probability below 10^-14.
SIZE = 16


@lru_cache(maxsize=4096)
def _origin(host: str, log_input: str) -> bytes:
    return f"line\0{len(host.encode())}:{host}{len(log_input.encode())}:{log_input}".encode()


@lru_cache(maxsize=4096)
def of_input(host: str, log_input: str) -> blake2b:
    """Return a hash that has taken the origin, for :func:`of_line`; it is shared and must not be changed."""
    return blake2b(_origin(host, log_input), digest_size=SIZE)


def of_line(begun: blake2b, offset: int, line: str) -> bytes:
    """Return the identity of the line that begins at byte ``offset`` of the input that ``begun`` is of."""
    digest = begun.copy()  # quicker than to begin anew
    digest.update(f"{offset}:{line}".encode())
    return digest.digest()


def of_broken_line(host: str, log_input: str, offset: int, message: bytes) -> bytes:
    """Return the identity of a record that names its origin but carries no readable line.

    Args:
        message: what stands in the line's place, raw: two files of an input begin at the same offset. Not the whole
            record, because a resend has another time stamp.
    """
    return blake2b(b"broken\0%s%d:%s" % (_origin(host, log_input), offset, message), digest_size=SIZE).digest()


def of_record(cluster_id: str, topic: str, partition: int, offset: int, value: bytes) -> bytes:
    """Return the identity of a record that names no origin: its place in Kafka, so each one is kept once.

    Args:
        value: the record's; a topic that was made anew has other records in the same places.
    """
    place = f"record\0{cluster_id}\0{topic}\0{partition}\0{offset}\0"
    return blake2b(place.encode() + value, digest_size=SIZE).digest()
