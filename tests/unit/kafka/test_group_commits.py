"""Records of the topic in which groups' commits are kept, byte by byte."""

from __future__ import annotations

import struct

import pytest

from obsctl.kafka.group_commits import Commit, decode
from obsctl.kafka.partition import TopicPartition


def text(value: str) -> bytes:
    return struct.pack(">h", len(value.encode())) + value.encode()


def key(version: int = 1, group: str = "g", topic: str = "t", partition: int = 3) -> bytes:
    return struct.pack(">h", version) + text(group) + text(topic) + struct.pack(">i", partition)


VALUES = {
    1: struct.pack(">hq", 1, 42) + text("m") + struct.pack(">qq", 1_700_000_000_500, 1_700_000_900_000),
    2: struct.pack(">hq", 2, 42) + text("") + struct.pack(">q", 1_700_000_000_500),
    3: struct.pack(">hqi", 3, 42, 7) + text("meta") + struct.pack(">q", 1_700_000_000_500),
    4: struct.pack(">hqi", 4, 42, 7) + text("") + struct.pack(">q", 1_700_000_000_500) + bytes(18),
}


@pytest.mark.parametrize("version", VALUES)
def test_a_commit(version: int) -> None:
    assert decode(key(), VALUES[version]) == Commit("g", TopicPartition("t", 3), 42, 1_700_000_000.5)


@pytest.mark.parametrize(
    ("record_key", "value"),
    [
        (struct.pack(">h", 2) + text("g"), b"members"),  # of a group, not of a position
        (key(), None),  # the position was removed
        (key(version=9), VALUES[3]),
        (key(), struct.pack(">hq", 9, 42)),  # a version of another release
        (b"", VALUES[3]),
        (key()[:7], VALUES[3]),
        (key(), VALUES[3][:12]),
        (struct.pack(">hh", 1, 9999) + b"g", VALUES[3]),
        (struct.pack(">hh", 1, 2) + b"\xff\xff" + text("t") + bytes(4), VALUES[3]),
    ],
)
def test_what_is_no_commit(record_key: bytes, value: bytes | None) -> None:
    assert decode(record_key, value) is None
