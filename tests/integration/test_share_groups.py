"""The groups of Kafka 4 against a real broker: a share group is listed beside those that commit positions."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import confluent_kafka
import pytest

from obsctl.checks.kafka.collect import collect_cluster
from obsctl.checks.kafka.judge import describe_cluster
from obsctl.checks.lag.collect import collect_lag
from obsctl.checks.lag.judge import describe_lag, judge_lag
from obsctl.fleet.model import Fleet, Host
from obsctl.fleet.model import KafkaNode as Node
from rig.kafka import KafkaNode, unpack_kafka
from rig.server import ServerProcess
from rig.tools import kafka_archives
from rig.waiting import wait_for

TOPIC, SHARE, PLAIN = "shared", "share-group", "plain-group"


@pytest.fixture(scope="module")
def libs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The libs of Kafka 4.1 or newer; OBSCTL_TEST_KAFKA4 names an archive of it."""
    named = os.environ.get("OBSCTL_TEST_KAFKA4")
    found = [Path(named)] if named else [path for path in kafka_archives() if "-4." in path.name]
    if not found:
        pytest.skip("no archive of Kafka 4 (obsctl artifacts build --kafka-version 4.1.0), share groups are its own")
    return unpack_kafka(found[-1], tmp_path_factory.mktemp("libs"))


@pytest.fixture
def broker(libs: Path, tmp_path: Path) -> Iterator[KafkaNode]:
    node = KafkaNode(
        libs,
        tmp_path,
        settings={
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "share.coordinator.state.topic.num.partitions": "1",
        },
    )
    node.start()
    try:
        features = tool(libs, "FeatureCommand", node, "upgrade", "--feature", "share.version=1")
        done = subprocess.run(features, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        yield node
    finally:
        node.kill()


def tool(libs: Path, name: str, node: KafkaNode, *arguments: str) -> list[str]:
    """Return the command of one of Kafka's own tools."""
    command = ["java", "-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", f"{libs}/*", f"org.apache.kafka.tools.{name}"]
    return [*command, "--bootstrap-server", node.bootstrap, *arguments]


def fleet_of(node: KafkaNode) -> Fleet:
    part = Node(node_id=1, broker_port=node.port, controller_port=1)
    return Fleet(hosts=(Host(name="node1", address="127.0.0.1", groups=("kafka",), kafka=part),))


def test_a_share_group_is_listed_and_costs_the_others_nothing(broker: KafkaNode, libs: Path, tmp_path: Path) -> None:
    broker.create_topic(TOPIC, 1)
    producer = broker.producer()
    for number in range(10):
        producer.produce(TOPIC, f"line {number}".encode())
    assert producer.flush(20) == 0
    consumer = confluent_kafka.Consumer({"bootstrap.servers": broker.bootstrap, "group.id": PLAIN, "log_level": 0})

    def committed() -> bool:
        try:
            consumer.commit(offsets=[confluent_kafka.TopicPartition(TOPIC, 0, 4)], asynchronous=False)
        except confluent_kafka.KafkaException:
            return False
        return True

    wait_for("a commit", committed, seconds=30)
    consumer.close()
    member = ServerProcess(tmp_path, "share")
    member.launch(tool(libs, "consumer.ConsoleShareConsumer", broker, "--topic", TOPIC, "--group", SHARE))
    try:
        fleet = fleet_of(broker)
        wait_for(
            "the share group",
            lambda: [g.state for g in collect_cluster(fleet).groups if g.name == SHARE] == ["Stable"],
            seconds=60,
        )
        seen = collect_cluster(fleet)
        rows = {row["group"]: row for row in describe_cluster(fleet, seen)["groups"]}
        assert (rows[SHARE]["kind"], rows[SHARE]["lag"]) == ("share", None)
        assert (rows[PLAIN]["kind"], rows[PLAIN]["lag"]) == ("classic", 6)
        assert [fault for fault in seen.errors if fault.code == "KAFKA_ANSWER_REFUSED"] == []
        lag = collect_lag(fleet, window_s=6.0)
    finally:
        member.end(signal.SIGKILL)
    found = {row["group"]: row for row in describe_lag(fleet, lag)["groups"]}
    assert (found[SHARE]["verdict"], found[PLAIN]["lag"]) == (None, 6)
    assert {row["group"]: row["kind"] for row in describe_lag(fleet, lag)["states"]}[SHARE] == "share"
    assert lag.errors == ()
    assert [finding.code for finding in judge_lag(fleet, lag)] == ["KAFKA_GROUP_ABANDONED"]
