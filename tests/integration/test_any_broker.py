"""Questions about the cluster while one of three real brokers hangs: answered, whichever broker was asked before."""

from __future__ import annotations

import gc
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from obsctl.kafka import clients, end_offsets, topics
from obsctl.kafka.any_broker import AnyBroker
from obsctl.kafka.partition import TopicPartition
from rig.brokers import PARTITIONS, TOPIC, Brokers
from rig.waiting import wait_for

#: Seconds for each question of a client; a broker that hangs keeps it for so long.
_PATIENCE_S = 2.0


@pytest.fixture(scope="module")
def brokers(kafka_libs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokers]:
    cluster = Brokers(kafka_libs, tmp_path_factory.mktemp("brokers"))
    try:
        cluster.start(1, 2, 3)
        cluster.create_topic()
        for node in (1, 2, 3):
            told = cluster.admin(node)
            wait_for(f"the topic on broker {node}", lambda told=told: TOPIC in _topics(told))
        yield cluster
    finally:
        cluster.close()


def _topics(client: AdminClient) -> set[str]:
    return set(client.list_topics(timeout=_PATIENCE_S).topics)


@pytest.mark.parametrize("node", [1, 2, 3])
def test_a_broker_that_hangs_does_not_keep_the_others_from_answering(brokers: Brokers, node: int) -> None:
    asking = AnyBroker(brokers.bootstrap.split(","), "test")
    assert TOPIC in asking.ask(_topics)
    brokers.suspend(node)
    try:
        for _ in range(10):
            assert TOPIC in asking.ask(_topics)
    finally:
        brokers.resume(node)


def test_a_leader_that_is_down_is_not_connected_to_without_pause(
    brokers: Brokers, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[str, Any]] = []
    settings = clients.settings
    counting = {"statistics.interval.ms": 500, "stats_cb": lambda text: told.append(json.loads(text))}
    monkeypatch.setattr(clients, "settings", lambda *which: settings(*which) | counting)
    client = clients.admin(brokers.bootstrap.split(","), "test")
    brokers.lead_evenly()
    parts = [TopicPartition(TOPIC, number) for number in range(PARTITIONS)]
    assert not end_offsets.ask(client, parts, 30.0).faults
    for node in (2, 3):  # without a majority no other broker becomes the leader of their partitions
        brokers.kill(node)
    try:
        assert end_offsets.ask(client, parts, 3.0).faults
        told.clear()
        wait_for("the client's statistics", lambda: client.poll(0.5) >= 0 and told)
        connects = {broker["nodeid"]: broker["connects"] for broker in told[-1]["brokers"].values()}
        assert max(connects[2], connects[3]) <= 20, connects
    finally:
        brokers.start(2, 3)


@pytest.fixture
def silent() -> Iterator[list[str]]:
    """Three ports that take connections and say nothing, as a broker does that is suspended."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    try:
        yield [f"127.0.0.1:{listener.getsockname()[1]}" for listener in listeners]
    finally:
        for listener in listeners:
            listener.close()


def _all_topics(client: AdminClient) -> None:
    client.list_topics(timeout=0.5)


def _topic_ids(client: AdminClient) -> None:
    topics.ask_ids(client, [TOPIC])


def _ends(client: AdminClient) -> None:
    assert end_offsets.ask(client, [TopicPartition(TOPIC, 0)], 0.5).faults
    raise KafkaException(KafkaError(KafkaError._TIMED_OUT))


@pytest.mark.parametrize("question", [_all_topics, _topic_ids, _ends])
def test_clients_that_got_no_answer_are_closed_at_once(
    silent: list[str], question: Callable[[AdminClient], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topics, "TIMEOUT_SECONDS", 0.5)
    asking = AnyBroker(silent, "test")
    gc.collect()  # clients of other tests
    gc.disable()  # it would close those of this one at some moment
    try:
        with pytest.raises(KafkaException):
            asking.ask(question)
        before = _client_threads()  # the remaining client has already opened the connections of its first request
        for _ in range(3):
            with pytest.raises(KafkaException):
                asking.ask(question)
        # Nine clients were opened meanwhile, with four threads each, which end a moment after the client is closed.
        wait_for(lambda: f"{_client_threads()} of {before}", lambda: _client_threads() < before + 4, seconds=10)
    finally:
        gc.enable()


def _client_threads() -> int:
    names = [task.read_text() for task in Path("/proc/self/task").glob("*/comm")]
    return sum(name.startswith("rdk:") for name in names)
