"""What metadata alone do not show: followers cut from a leader, replicas on their way, leaders that are elsewhere.

Kafka itself would take a replica out of the ISR after a minute here, so all that is found is found by the looks alone.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from obsctl.checks.kafka.collect import collect_cluster, collect_partitions
from obsctl.checks.kafka.judge import judge_cluster
from obsctl.checks.kafka.snapshot import Partition
from obsctl.core.report import Finding
from rig.brokers import TOPIC, Brokers
from rig.waiting import HANGS_S, wait_for

OBSCTL = str(Path(sys.executable).with_name("obsctl"))


@pytest.fixture(scope="module")
def brokers(kafka_libs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokers]:
    cluster = Brokers(kafka_libs, tmp_path_factory.mktemp("followers"), replica_lag_ms=60_000)
    try:
        cluster.start(1, 2, 3)
        cluster.create_topic()
        wait_for("a whole cluster", lambda: findings(cluster) == {})
        yield cluster
    finally:
        cluster.close()


def findings(cluster: Brokers) -> dict[str, Finding]:
    fleet = cluster.fleet(controllers_open=True)
    found = judge_cluster(fleet, collect_cluster(fleet))
    return {finding.code: finding for finding in found if finding.code != "KAFKA_LEADER_SKEW"}


def partitions(cluster: Brokers, topic: str = TOPIC) -> list[Partition]:
    seen = collect_partitions(cluster.fleet(controllers_open=True))
    return [partition for partition in seen.partitions if partition.topic == topic]


def moving(partition: Partition) -> bool:
    """Return whether the controller and the brokers know of a reassignment."""
    return bool(partition.adding) and set(partition.adding) <= set(partition.replicas)


def obsctl(cluster: Brokers, folder: Path, *argv: str) -> tuple[int, dict[str, Any]]:
    """Return exit code and report."""
    command = [OBSCTL, "-i", str(cluster.fleet_file(folder)), *argv, "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout)


def test_followers_that_are_cut_from_a_leader_are_named_while_every_partition_looks_whole(
    brokers: Brokers, tmp_path: Path
) -> None:
    target = next(p for p in partitions(brokers) if p.leader == 1)
    brokers.cables[1].cut()
    try:
        # The answer to a follower's request from before the cut is lost; now the follower waits.
        time.sleep(1)
        brokers.produce(target.partition, 50, acks="1", leader=1)

        def critical() -> dict[str, Any] | None:
            code, report = obsctl(brokers, tmp_path, "kafka", "partitions", "--topic", TOPIC)
            return report if code == 2 else None

        # Less than replica.lag.time.max.ms, after which the in-sync replicas are fewer.
        report = wait_for("a finding", critical, seconds=8)
        found = {finding["object"]: finding for finding in report["findings"]}
        assert report["took_ms"] < HANGS_S * 1000
        assert found["kafka"]["code"] == "KAFKA_WATERMARK_STUCK"
        assert target.name in found["kafka"]["evidence"]["partitions"]
        assert found["kafka"]["evidence"]["held_back_by"] == [2, 3]
        assert {found[name]["code"] for name in ("broker/2", "broker/3")} == {"KAFKA_FOLLOWER_STUCK"}
        assert found["broker/2"]["evidence"]["behind"][target.name] == 50
        assert len(report["findings"]) == 3
        row = next(row for row in report["data"]["partitions"] if row["partition"] == target.partition)
        assert (row["state"], row["isr"], row["lag"]) == ("watermark stuck", [1, 2, 3], 50)
    finally:
        brokers.cables[1].heal()
    wait_for("a whole cluster", lambda: findings(brokers) == {})


def test_a_cluster_under_load_has_no_stuck_replica(brokers: Brokers) -> None:
    for _ in range(3):
        brokers.produce(0, 5_000, acks="1")
        assert findings(brokers) == {}


def test_leaders_go_back_to_their_first_replica(brokers: Brokers, tmp_path: Path) -> None:
    brokers.kill(2)
    wait_for("other leaders", lambda: all(p.leader in (1, 3) for p in partitions(brokers)))
    brokers.start(2)
    wait_for("a whole cluster", lambda: findings(brokers) == {})
    moved = [p.name for p in partitions(brokers) if p.leader != p.replicas[0]]
    assert moved
    code, report = obsctl(brokers, tmp_path, "kafka", "rebalance-leaders", "--dry-run")
    assert (code, {row["result"] for row in report["data"]["partitions"]}) == (0, {"would move"})
    assert [p.name for p in partitions(brokers) if p.leader != p.replicas[0]] == moved
    code, report = obsctl(brokers, tmp_path, "kafka", "rebalance-leaders")
    assert (code, report["findings"]) == (0, [])
    wait_for("first replicas that lead", lambda: all(p.leader == p.replicas[0] for p in partitions(brokers)))
    code, report = obsctl(brokers, tmp_path, "kafka", "rebalance-leaders")
    assert (code, report["data"]["partitions"]) == (0, [])


def test_what_the_loss_of_some_would_mean(brokers: Brokers, tmp_path: Path) -> None:
    wait_for("a whole cluster", lambda: findings(brokers) == {})
    code, report = obsctl(brokers, tmp_path, "kafka", "whatif", "--lose", "node2")
    assert (code, report["data"]["loss"]["no_writes"], report["data"]["loss"]["controller"]) == (0, 0, True)
    code, report = obsctl(brokers, tmp_path, "kafka", "whatif", "--lose", "2,3")
    assert code == 2
    assert {finding["code"] for finding in report["findings"]} == {
        "KAFKA_LOSS_NO_CONTROLLER",
        "KAFKA_LOSS_OFFLINE",
        "KAFKA_LOSS_STOPS_WRITES",
    }
    assert (report["data"]["loss"]["voters"], report["data"]["loss"]["voters_left"]) == (3, 1)


def test_a_topic_made_by_hand_is_judged_and_the_command_of_its_hint_gives_it_replicas(
    brokers: Brokers, tmp_path: Path
) -> None:
    brokers.create_topic("handmade", 2, 1)
    wait_for("a finding on it", lambda: set(findings(brokers)) == {"KAFKA_REPLICATION_FACTOR"})
    finding = findings(brokers)["KAFKA_REPLICATION_FACTOR"]
    assert (finding.object, finding.evidence["replicas"]) == ("topic/handmade", 1)
    words = re.search(r"echo '(.*)' > (\S+) && kafka-cli reassign --bootstrap-server \S+ (.*)", finding.hint)
    assert words is not None
    assert words[3] == f"--reassignment-json-file {words[2]} --execute"
    plan = tmp_path / "more.json"
    plan.write_text(words[1])
    # The copies come from the leaders, who cannot be reached yet: the move is on its way, and nothing is missing.
    for cable in brokers.cables.values():
        cable.cut()
    try:
        brokers.reassign(plan)
        wait_for("a reassignment", lambda: all(moving(p) for p in partitions(brokers, "handmade")))
        found = findings(brokers)
        assert "KAFKA_UNDER_REPLICATED" not in found
        assert found["KAFKA_REASSIGNING"].evidence["count"] == 2
        # Kafka counts the replicas that are being added for what a write needs: two of three, and one is there.
        assert found["KAFKA_UNDER_MIN_ISR"].evidence["partitions"] == ["handmade-0", "handmade-1"]
        assert brokers.refusal("handmade") == "NOT_ENOUGH_REPLICAS"
    finally:
        for cable in brokers.cables.values():
            cable.heal()
    wait_for("three replicas in sync", lambda: all(len(p.isr) == 3 for p in partitions(brokers, "handmade")))
    wait_for("a whole cluster", lambda: findings(brokers) == {})


def test_a_replica_on_its_way_is_not_missing(brokers: Brokers, tmp_path: Path) -> None:
    brokers.create_topic("pair", 1, 2)
    wait_for("the topic", lambda: bool(partitions(brokers, "pair")))
    (partition,) = partitions(brokers, "pair")
    (third,) = {1, 2, 3} - set(partition.replicas)
    plan = tmp_path / "pair.json"
    added = {"topic": "pair", "partition": 0, "replicas": [*partition.replicas, third]}
    plan.write_text(json.dumps({"version": 1, "partitions": [added]}))
    assert partition.leader is not None
    brokers.cables[partition.leader].cut()
    try:
        brokers.reassign(plan)
        wait_for("a reassignment", lambda: moving(partitions(brokers, "pair")[0]))
        code, report = obsctl(brokers, tmp_path, "kafka", "partitions", "--topic", "pair")
        codes = {finding["code"] for finding in report["findings"]}
        assert "KAFKA_UNDER_REPLICATED" not in codes
        assert "KAFKA_REASSIGNING" in codes
        (row,) = report["data"]["partitions"]
        assert (row["state"], row["adding"], len(row["isr"])) == ("being reassigned", [third], 2)
        assert code in (0, 1)  # its min ISR is that of two replicas
    finally:
        brokers.cables[partition.leader].heal()
    wait_for("three replicas in sync", lambda: len(partitions(brokers, "pair")[0].isr) == 3)


def test_settings_changed_by_hand_are_compared(brokers: Brokers, tmp_path: Path) -> None:
    brokers.create_topic("by-hand", 1, 3, **{"min.insync.replicas": "3", "unclean.leader.election.enable": "true"})
    expected = {"KAFKA_MIN_ISR_HIGH", "KAFKA_UNCLEAN_ELECTION"}
    wait_for("findings on it", lambda: set(findings(brokers)) == expected)
    code, report = obsctl(brokers, tmp_path, "kafka", "topics")
    row = next(row for row in report["data"]["topics"] if row["topic"] == "by-hand")
    assert code == 1
    assert (row["verdict"], row["retention"], row["cleanup"]) == ("min ISR = RF, unclean election", "7 d", "delete")
