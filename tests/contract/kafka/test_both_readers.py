"""Kafka's answers are read twice: by the checks, and by the modules that run under old Pythons. Both must see the same.

``answers.json`` holds what a broker of a cluster of three answered while the third one was dead: the bodies of Metadata
12 and DescribeQuorum 1, as they came.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from obsctl.checks.kafka import wire
from rig import collection  # noqa: F401  # lets Ansible find obscraft.fleet in this tree
from rig.peers import peer

from ansible_collections.obscraft.fleet.plugins.module_utils import kafka_wire  # isort: skip

RECORDED = json.loads((Path(__file__).parent / "answers.json").read_text())
BODIES = {3: bytes.fromhex(RECORDED["metadata"]), 55: bytes.fromhex(RECORDED["quorum"])}


def read(line: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = line.recv(count - len(data))
        if not piece:
            raise OSError("closed")
        data += piece
    return data


def replay(line: socket.socket) -> None:
    """Answer each request with what was recorded, under its own number."""
    while True:
        (length,) = struct.unpack(">i", read(line, 4))
        key, _version, number = struct.unpack(">hhi", read(line, length)[:8])
        body = struct.pack(">i", number) + b"\0" + BODIES[key]
        line.sendall(struct.pack(">i", len(body)) + body)


@pytest.fixture
def broker() -> Iterator[int]:
    with peer(replay) as port:
        yield port


@pytest.fixture
def answers(broker: int, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the checks' reader makes of both."""
    versions = {key: (version, version) for key, version in (kafka_wire.METADATA, kafka_wire.DESCRIBE_QUORUM)}
    monkeypatch.setattr(wire.Conversation, "_learn_versions", lambda self: setattr(self, "_versions", versions))
    conversation = wire.Conversation("127.0.0.1", broker, time.monotonic() + 10)
    try:
        return conversation.ask([wire.metadata(), wire.quorum()])
    finally:
        conversation.close()


def test_both_read_the_same_cluster(broker: int, answers: list[Any]) -> None:
    mine, theirs = kafka_wire.metadata([f"127.0.0.1:{broker}"], 10), answers[0]
    assert mine["cluster_id"] == theirs.cluster_id == "obsTestClusterAAAAAAAA"
    assert mine["brokers"] == {b.node_id: f"{b.host}:{b.port}" for b in theirs.brokers}
    assert mine["brokers"].keys() == {1, 2}
    partitions = {
        topic.name: [
            {
                "partition": p.partition_index, "error": p.error_code, "leader": p.leader_id,
                "replicas": list(p.replica_nodes), "isr": list(p.isr_nodes), "offline": list(p.offline_replicas),
            }
            for p in sorted(topic.partitions, key=lambda p: p.partition_index)
        ]
        for topic in theirs.topics
    }  # fmt: skip
    assert mine["topics"] == partitions
    assert [len(p["isr"]) for p in partitions["nginxlog"]] == [2] * 6


def test_both_read_the_same_quorum(broker: int, answers: list[Any]) -> None:
    mine = kafka_wire.quorum([f"127.0.0.1:{broker}"], 10)
    (theirs,) = answers[1].topics[0].partitions
    assert (mine["leader"], mine["epoch"], mine["high_watermark"]) == (
        theirs.leader_id, theirs.leader_epoch, theirs.high_watermark,
    )  # fmt: skip
    voters = {voter["id"]: voter["log_end_offset"] for voter in mine["voters"]}
    assert voters == {voter.replica_id: voter.log_end_offset for voter in theirs.current_voters}
    assert voters.keys() == {1, 2, 3}
