"""kafka status and kafka partitions against three real brokers: whole, one hung, one killed, and whole again."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import confluent_kafka
import pytest

from obsctl.checks.kafka import wire
from obsctl.checks.kafka.collect import collect_cluster, collect_partitions
from obsctl.checks.kafka.judge import judge_cluster
from obsctl.checks.kafka.snapshot import KafkaSnapshot, Partition
from rig.brokers import PARTITIONS, TOPIC, Brokers
from rig.waiting import HANGS_S, wait_for

OBSCTL = str(Path(sys.executable).with_name("obsctl"))


@pytest.fixture(scope="module")
def brokers(kafka_libs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokers]:
    cluster = Brokers(kafka_libs, tmp_path_factory.mktemp("brokers"))
    try:
        cluster.start(1, 2, 3)
        cluster.create_topic()
        wait_for("the topic on every broker", lambda: everybody_told(cluster))
        yield cluster
    finally:
        cluster.close()


def findings(cluster: Brokers, *, controllers_open: bool = True) -> set[str]:
    fleet = cluster.fleet(controllers_open=controllers_open)
    found = judge_cluster(fleet, collect_cluster(fleet))
    return {finding.code for finding in found if finding.severity.value != "info"}


def everybody_told(cluster: Brokers) -> bool:
    partitions = collect_partitions(cluster.fleet(controllers_open=False)).partitions
    return bool(partitions) and all(None not in partition.leo.values() for partition in partitions)


def first_of(seen: KafkaSnapshot) -> Partition:
    return next(p for p in seen.partitions if (p.topic, p.partition) == (TOPIC, 0))


def committed(consumer: confluent_kafka.Consumer, position: confluent_kafka.TopicPartition) -> bool:
    """Return whether the coordinator took a position; it refuses while it loads the groups' topic."""
    try:
        return bool(consumer.commit(offsets=[position], asynchronous=False))
    except confluent_kafka.KafkaException:
        return False


def obsctl(cluster: Brokers, folder: Path, *argv: str) -> tuple[int, dict[str, Any]]:
    """Return exit code and report."""
    command = [OBSCTL, "-i", str(cluster.fleet_file(folder)), *argv, "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.fixture
def conversation(brokers: Brokers) -> Iterator[wire.Conversation]:
    talk = wire.Conversation("127.0.0.1", brokers.ports[1], time.monotonic() + 20)
    yield talk
    talk.close()


def test_the_library_still_speaks_as_the_adapter_expects(conversation: wire.Conversation, brokers: Brokers) -> None:
    metadata, directories, groups, quorum = conversation.ask(
        [wire.metadata(), wire.log_dirs(), wire.groups(), wire.quorum()]
    )
    assert sorted(broker.node_id for broker in metadata.brokers) == [1, 2, 3]
    (topic,) = [topic for topic in metadata.topics if topic.name == TOPIC]
    assert not topic.is_internal
    assert {len(entry.replica_nodes) for entry in topic.partitions} == {3}
    assert {entry.leader_epoch >= 0 for entry in topic.partitions} == {True}
    (directory,) = directories.results
    assert directory.total_bytes > directory.usable_bytes > 0
    assert isinstance(groups.groups, list)
    (entry,) = quorum.topics[0].partitions
    assert {voter.replica_id for voter in entry.current_voters} == {1, 2, 3}
    assert entry.leader_id in (1, 2, 3)


def test_replica_minus_two_is_answered_by_followers_and_minus_one_by_the_leader_only(
    conversation: wire.Conversation, brokers: Brokers
) -> None:
    (metadata,) = conversation.ask([wire.metadata()])
    (topic,) = [topic for topic in metadata.topics if topic.name == TOPIC]
    everything = [(TOPIC, number) for number in range(PARTITIONS)]
    led = {(TOPIC, entry.partition_index) for entry in topic.partitions if entry.leader_id == 1}
    ends, highs = conversation.ask(
        [
            wire.offsets(everything, replica=wire.DEBUG_REPLICA, timestamp=wire.LATEST, isolation=0),
            wire.offsets(everything, replica=wire.CLIENT_REPLICA, timestamp=wire.LATEST, isolation=0),
        ]
    )
    assert set(wire.read_offsets(ends)) == set(everything)
    assert set(wire.read_offsets(highs)) == led


def test_settings_of_a_topic_that_does_not_exist_are_left_out(conversation: wire.Conversation) -> None:
    (answer,) = conversation.ask([wire.settings([TOPIC, "nothing"])])
    settings = wire.read_settings(answer)
    assert set(settings) == {TOPIC}
    assert settings[TOPIC]["min.insync.replicas"] == "2"
    assert set(settings[TOPIC]) >= {"retention.ms", "cleanup.policy", "unclean.leader.election.enable"}


def test_a_closed_port_and_an_overrun_deadline_are_silence(brokers: Brokers) -> None:
    with pytest.raises(wire.BrokerSilentError, match="refused"):
        wire.Conversation("127.0.0.1", 1, time.monotonic() + 5)
    with pytest.raises(wire.BrokerSilentError, match="no answer in time"):
        wire.Conversation("127.0.0.1", brokers.ports[1], time.monotonic() - 1)


def test_offsets_of_every_replica_and_the_groups_lag(brokers: Brokers) -> None:
    brokers.produce(0, 500, acks="all")
    consumer = confluent_kafka.Consumer(
        {"bootstrap.servers": brokers.bootstrap, "group.id": "reader", "enable.auto.commit": False, "log_level": 0}
    )
    position = confluent_kafka.TopicPartition(TOPIC, 0, 200)
    wait_for("a coordinator that has read its partition", lambda: committed(consumer, position))
    consumer.close()
    fleet = brokers.fleet(controllers_open=False)
    wait_for("replicas at the same end", lambda: first_of(collect_partitions(fleet)).leo == {1: 500, 2: 500, 3: 500})
    seen = collect_cluster(fleet)
    first = first_of(seen)
    assert (first.start, first.lso, first.hw, first.min_isr) == (0, 500, 500, 2)
    (group,) = [group for group in seen.groups if group.name == "reader"]
    assert [(c.topic, c.partition, c.offset) for c in group.committed] == [(TOPIC, 0, 200)]
    # All of it is younger than minutes, so nothing has been waiting.
    assert all(p.settled == p.start for p in seen.partitions if p.topic == TOPIC)
    assert seen.errors == ()


def test_the_whole_command_on_a_whole_cluster(brokers: Brokers, tmp_path: Path) -> None:
    wait_for("a whole cluster", lambda: findings(brokers) == set())
    code, report = obsctl(brokers, tmp_path, "kafka", "status")
    assert (code, report["status"], report["errors"]) == (0, "ok", [])
    assert report["data"]["metrics"]["brokers_up"] == 3
    assert report["data"]["quorum"]["may_fail"] == 1
    code, report = obsctl(brokers, tmp_path, "kafka", "partitions", "--topic", TOPIC)
    assert code == 0
    assert [row["partition"] for row in report["data"]["partitions"]] == list(range(PARTITIONS))


def test_an_unknown_topic_is_a_wrong_call(brokers: Brokers, tmp_path: Path) -> None:
    command = [OBSCTL, "-i", str(brokers.fleet_file(tmp_path)), "kafka", "partitions"]
    done = subprocess.run([*command, "--topic", "nothing"], capture_output=True, text=True, check=False)
    assert done.returncode == 64
    assert "no topic nothing" in done.stderr


@pytest.mark.parametrize("node", [1, 2, 3])
def test_a_hung_broker_costs_its_row_only(brokers: Brokers, tmp_path: Path, node: int) -> None:
    wait_for("a whole cluster", lambda: findings(brokers) == set())
    brokers.suspend(node)
    try:
        code, report = obsctl(brokers, tmp_path, "kafka", "status")
        assert code == 2
        assert report["took_ms"] < HANGS_S * 1000
        assert [f["object"] for f in report["findings"] if f["code"] == "KAFKA_BROKER_DOWN"] == [f"broker/{node}"]
        states = {row["broker"]: row["state"] for row in report["data"]["brokers"]}
        assert states == {broker: "down" if broker == node else "up" for broker in (1, 2, 3)}
        # The rest is complete: every partition has the log end of both other replicas.
        for row in report["data"]["partitions"]:
            assert {int(broker) for broker, end in row["leo"].items() if end is not None} == {1, 2, 3} - {node}

        def under_replicated() -> list[int]:
            # A follower of the hung one may leave an ISR as well, until it has found the new leader; and the
            # controller takes the hung one out of one ISR after the other.
            code, report = obsctl(brokers, tmp_path, "kafka", "status")
            found = [f["evidence"] for f in report["findings"] if f["code"] == "KAFKA_UNDER_REPLICATED"]
            return [
                code
                for evidence in found
                if evidence["missing_replicas_on"] == [node] and f"{TOPIC}-0" in evidence["partitions"]
            ]

        (code,) = wait_for("ISRs without the hung one alone", under_replicated)
        assert code in (1, 2)
    finally:
        brokers.resume(node)
    wait_for("a whole cluster", lambda: findings(brokers) == set())


def test_a_hanging_follower_shows_in_the_distance_of_leo_and_high_watermark(brokers: Brokers) -> None:
    fleet = brokers.fleet(controllers_open=False)
    for _ in range(3):  # on a busy machine the question may come after the hung one has left the ISR
        wait_for("a whole cluster", lambda: findings(brokers) == set())
        seen = collect_partitions(fleet).partitions
        target = next(p for p in seen if p.topic == TOPIC and p.leader != 3)
        brokers.suspend(3)
        try:
            brokers.produce(target.partition, 2_000, acks="1", leader=target.leader)
            now = next(p for p in collect_partitions(fleet).partitions if p.name == target.name)
        finally:
            brokers.resume(3)
        if now.isr == (1, 2, 3):
            break
    assert target.leader is not None
    assert now.isr == (1, 2, 3)
    assert now.hw is not None
    assert now.leo[target.leader] == now.hw + 2_000
    assert now.leo[3] is None


def test_a_killed_broker_and_its_return(brokers: Brokers, tmp_path: Path) -> None:
    wait_for("a whole cluster", lambda: findings(brokers) == set())
    brokers.kill(2)
    code, report = obsctl(brokers, tmp_path, "kafka", "status")
    assert code == 2
    assert report["took_ms"] < HANGS_S * 1000
    assert "broker/2" in {finding["object"] for finding in report["findings"]}
    expected = {"KAFKA_BROKER_DOWN", "KAFKA_UNDER_REPLICATED", "KAFKA_AT_MIN_ISR", "KAFKA_QUORUM_VOTER_LAGGING"}
    wait_for("all its consequences", lambda: findings(brokers) == expected)
    brokers.start(2)
    wait_for("a whole cluster", lambda: findings(brokers) == set())


def test_two_of_three_dead_leave_neither_controller_nor_writes(brokers: Brokers, tmp_path: Path) -> None:
    wait_for("a whole cluster", lambda: findings(brokers) == set())
    brokers.kill(1)
    brokers.kill(2)
    fleet = brokers.fleet(controllers_open=True)

    def critical() -> set[str]:
        return {f.code for f in judge_cluster(fleet, collect_cluster(fleet)) if f.severity.value == "critical"}

    assert "KAFKA_BROKER_DOWN" in critical()
    # A survivor that was the active controller resigns only after a fetch time-out without a majority.
    wait_for("a quorum that has given up", lambda: critical() >= {"KAFKA_BROKER_DOWN", "KAFKA_NO_CONTROLLER"})
    # What the survivor last heard of is that all is well; nothing of it passes for a fact.
    code, report = obsctl(brokers, tmp_path, "kafka", "status")
    codes = {finding["code"] for finding in report["findings"]}
    assert code == 2
    assert report["took_ms"] < HANGS_S * 1000
    assert codes == {"KAFKA_BROKER_DOWN", "KAFKA_NO_CONTROLLER", "KAFKA_METADATA_STALE", "KAFKA_LEADER_SILENT"}
    assert report["data"]["metadata"]["state"] == "stale"
    assert report["data"]["metrics"]["under_replicated"] is None
    assert {row["in_sync"] for row in report["data"]["brokers"]} == {None}
    assert {row["leader"] for row in report["data"]["partitions"]} == {None}
    (lost,) = [finding for finding in report["findings"] if finding["code"] == "KAFKA_NO_CONTROLLER"]
    assert "writes stop on" in lost["summary"]
    brokers.start(1, 2)
    wait_for("a whole cluster", lambda: findings(brokers) == set())
