"""When groups committed, read from Kafka's own topic (``__consumer_offsets``).

A broker's answer about a group's offsets does not say when they were committed; the records of this topic do. Their
layout is that of Kafka's own OffsetCommitKey and OffsetCommitValue: numbers are big-endian, texts have a length before
them. Later versions of a value append fields to those that are read here.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from obsctl.kafka.partition import TopicPartition

TOPIC = "__consumer_offsets"
#: Versions of a key that name a group, a topic and a partition; version 2 is about a group's members.
_KEYS = (0, 1)
#: The version of a value that has the leader's epoch in it, and the one that has topic ids at its end.
_WITH_EPOCH = 3
_NEWEST = 4


class Commit(NamedTuple):
    """One committed position.

    Attributes:
        offset: the first one that the group has not finished.
        at: when the coordinator accepted it, seconds since the epoch.
    """

    group: str
    part: TopicPartition
    offset: int
    at: float


def decode(key: bytes, value: bytes | None) -> Commit | None:
    """Return the commit in a record of the topic; None for other records."""
    try:
        (version,) = struct.unpack_from(">h", key)
        if version not in _KEYS or value is None:
            return None
        group, at = _text(key, 2)
        topic, at = _text(key, at)
        (partition,) = struct.unpack_from(">i", key, at)
        version, offset = struct.unpack_from(">hq", value)
        if not 0 <= version <= _NEWEST:
            return None
        at = 10 + (4 if version >= _WITH_EPOCH else 0)
        _, at = _text(value, at)
        (committed_ms,) = struct.unpack_from(">q", value, at)
    except (struct.error, UnicodeDecodeError):
        return None
    return Commit(group, TopicPartition(topic, partition), offset, committed_ms / 1000)


def _text(data: bytes, at: int) -> tuple[str, int]:
    """Return the text at an index, and the index after it."""
    (length,) = struct.unpack_from(">h", data, at)
    end = at + 2 + max(length, 0)
    if end > len(data):
        raise struct.error("cut")
    return data[at + 2 : end].decode(), end
