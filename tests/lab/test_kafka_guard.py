"""Storage that does not fit together stops the playbook: both sides are named, and nothing is formatted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.conftest import NODES, Answer, Fleet, play

DATA = "/var/lib/kafka"
HOLD = "/var/lib/kafka-on-hold"
EMPTY = f"find {DATA} -mindepth 1 -delete"
RESTORE = f"{EMPTY} && cp -a {HOLD}/. {DATA}/"
FOREIGN = "AAAAAAAAAAAAAAAAAAAAAA"


def _refused(*options: str) -> Answer:
    """Run the playbook, which fails."""
    answer = play("playbooks/kafka.yml", *options, timeout=300)
    assert answer.code != 0, answer.said
    return answer


def _stored_ids(fleet: Fleet) -> dict[str, str]:
    """Return each node's meta.properties, or what stands in its place."""
    script = f"cat {DATA}/meta.properties 2>/dev/null || echo none"
    return {node: fleet.ssh(node, "sh", "-c", script) for node in NODES}


@pytest.fixture
def stopped_node(healthy: Fleet) -> Iterator[Fleet]:
    """Kafka on node3 stopped, its storage saved and put back afterwards."""
    healthy.ssh("node3", "systemctl", "stop", "kafka", timeout=200)
    healthy.ssh("node3", "cp", "-a", DATA, HOLD)
    yield healthy
    healthy.ssh("node3", "sh", "-c", f"{RESTORE} && rm -r {HOLD}")
    healthy.ssh("node3", "systemctl", "start", "kafka")
    healthy.wait_healthy()


def test_unmounted_storage_of_all_nodes_stops_the_playbook(healthy: Fleet) -> None:
    """To every node's eyes the cluster is new; its cluster.id knows better."""
    shown = _refused("-e", "kafka_data_dir=/var/lib/kafka-elsewhere").said
    assert "no storage on node1, node2, node3, while no node holds its data" in shown
    assert "kafka_data_dir has changed" in shown
    assert "changed=0" in shown
    for node in NODES:
        assert healthy.ssh(node, "sh", "-c", "ls -d /var/lib/kafka-elsewhere 2>/dev/null || echo none") == "none\n"


def test_storage_that_is_not_the_clusters_stops_the_playbook(stopped_node: Fleet) -> None:
    """Emptied first, then another cluster's: the node is stopped, and started again, once for both."""
    stopped_node.ssh("node3", "sh", "-c", EMPTY)
    before = _stored_ids(stopped_node)
    shown = _refused().said
    assert "no storage on node3" in shown
    assert "is on node1, node2" in shown
    assert "kafka_allow_format_lost_nodes: [node3]" in shown
    assert "changed=0" in shown
    assert _stored_ids(stopped_node) == before
    assert before["node3"] == "none\n"

    script = f"{RESTORE} && sed -i s/^cluster.id=.*/cluster.id={FOREIGN}/ {DATA}/meta.properties"
    stopped_node.ssh("node3", "sh", "-c", script)
    before = _stored_ids(stopped_node)
    shown = _refused().said
    assert f"cluster id {FOREIGN} on node3" in shown
    assert "on node1, node2" in shown
    assert _stored_ids(stopped_node) == before
