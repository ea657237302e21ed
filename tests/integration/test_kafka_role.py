"""The Kafka role's files and modules with real Kafkas: each line it supports, controller and broker apart."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from rig.kafka import CLUSTER_ID, Java, unpack_kafka
from rig.ports import free_port
from rig.rendered_role import RenderedNode
from rig.server import ServerProcess
from rig.tools import CACHE
from rig.waiting import wait_for

from ansible_collections.obscraft.fleet.plugins.module_utils import kafka_wire  # isort: skip
from ansible_collections.obscraft.fleet.plugins.modules import (  # isort: skip
    kafka_node_health,
    kafka_storage_info,
    kafka_topics,
)

ARCHIVES = sorted((CACHE / "artifacts" / "kafka").glob("kafka_*.tgz"))
START_SECONDS = 90.0
TOPIC = {"name": "nginxlog", "partitions": 6, "replication_factor": 1, "configs": {"min.insync.replicas": "1"}}


class Running(NamedTuple):
    version: str
    broker: str
    controller: str
    data: dict[str, Path]


def _inventory(folder: Path, version: str) -> Path:
    """Write an inventory with one controller and one broker on loopback, and return it."""
    ports = {"kafka_broker_port": free_port(), "kafka_controller_port": free_port()}
    hosts: dict[str, dict[str, Any]] = {}
    for number, (name, role) in enumerate((("controller1", "controller"), ("broker1", "broker")), 1):
        hosts[name] = {
            "ansible_host": "127.0.0.1",
            "kafka_node_id": number,
            "kafka_process_roles": [role],
            "kafka_data_dir": str(folder / name / "data"),
            "kafka_config_dir": str(folder / name),
        }
    variables = {"kafka_version": version, "kafka_replication_factor": 1, "kafka_min_insync_replicas": 1, **ports}
    path = folder / "inventory.yml"
    path.write_text(yaml.safe_dump({"all": {"vars": variables, "children": {"kafka": {"hosts": hosts}}}}))
    return path


@pytest.fixture(scope="module", params=ARCHIVES, ids=lambda path: path.stem)
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A controller and a broker, formatted and started with what the role renders."""
    archive: Path = request.param
    version = archive.stem.rpartition("-")[2]
    folder = tmp_path_factory.mktemp(f"kafka-{version}")
    libs = unpack_kafka(archive, folder)
    inventory = _inventory(folder, version)
    java = Java(libs)
    servers: list[ServerProcess] = []
    data = {}
    try:
        for name in ("controller1", "broker1"):
            node = RenderedNode(inventory, name)
            data[name] = folder / name / "data"
            data[name].mkdir(parents=True)
            config = folder / name / "server.properties"
            config.write_text(node.file("server.properties.j2"))
            log_config = folder / name / node.value("__kafka_log_config")
            log_config.write_text(node.file(f"{log_config.name}.j2"))
            logging = f"-D{node.value('__kafka_log_option')}=file:{log_config}"
            java.format(config)
            server = ServerProcess(folder / name, "output")
            server.launch(java.broker(config, logging))
            servers.append(server)
        broker, controller = node.value("__kafka_bootstrap")[0], node.value("__kafka_voters").partition("@")[2]
        yield Running(version, broker, controller, data)
    finally:
        # The broker first: without a controller it would wait without end for permission to stop.
        for server in reversed(servers):
            server.end(signal.SIGTERM)


def _view(running: Running, node_id: int, address: str, *, broker: bool) -> dict[str, Any]:
    params = {"node_id": node_id, "address": address, "broker": broker, "bootstrap": [running.broker]}
    return kafka_node_health.look(params)


def _until_served(running: Running) -> None:
    def why_not() -> str:
        return kafka_node_health.not_serving(_view(running, 2, running.broker, broker=True)) or ""

    wait_for(why_not, lambda: not why_not(), seconds=START_SECONDS)


def test_nodes_serve_and_lead(running: Running) -> None:
    _until_served(running)
    broker = _view(running, 2, running.broker, broker=True)
    controller = _view(running, 1, running.controller, broker=False)
    assert broker["leader"] == controller["leader"] == 1
    assert [voter["id"] for voter in broker["voters"]] == [1]
    assert kafka_node_health.not_serving(controller) is None
    assert kafka_node_health.not_in_sync(broker) is None


def test_leads_are_where_they_belong_already(running: Running) -> None:
    _until_served(running)
    assert kafka_wire.elect_preferred_leaders([running.broker], 10) == 0


def test_topics_are_made_once_and_raised(running: Running) -> None:
    _until_served(running)
    bootstrap = [running.broker]

    def converge(topic: dict[str, Any]) -> dict[str, Any]:
        todo = kafka_topics.plan([topic], *kafka_topics.look(bootstrap, [topic]))
        kafka_topics.apply(bootstrap, todo)
        return todo

    def settled(topic: dict[str, Any]) -> bool:
        todo = kafka_topics.plan([topic], *kafka_topics.look(bootstrap, [topic]))
        return todo == {"create": [], "raise": {}, "configure": {}, "differences": []}

    assert converge(TOPIC)["create"] == [TOPIC]
    wait_for(lambda: "the topic is not as wanted", lambda: settled(TOPIC), seconds=30)
    more = {**TOPIC, "partitions": 8, "configs": {"min.insync.replicas": "1", "retention.ms": "60000"}}
    todo = converge(more)
    assert todo["raise"] == {"nginxlog": 8}
    assert todo["configure"] == {"nginxlog": {"retention.ms": "60000"}}
    wait_for(lambda: "the topic is not as wanted", lambda: settled(more), seconds=30)
    fewer = kafka_topics.plan([TOPIC], *kafka_topics.look(bootstrap, [TOPIC]))
    assert fewer["differences"]


def test_refusal_is_told_in_the_brokers_words(running: Running) -> None:
    _until_served(running)
    with pytest.raises(kafka_wire.KafkaError, match=r"(?i)topic wide: .*replica"):
        kafka_wire.create_topics([running.broker], [{**TOPIC, "name": "wide", "replication_factor": 3}], 10)


def test_storage_tells_its_cluster(running: Running) -> None:
    _until_served(running)
    note = running.data["broker1"].parent / "cluster.id"
    state = kafka_storage_info.look([str(running.data["broker1"])], str(note))
    assert state["cluster_ids"] == [CLUSTER_ID]
    assert state["node_ids"] == [2]
    assert state["has_lived"]
