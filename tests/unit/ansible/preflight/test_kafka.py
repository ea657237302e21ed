"""Kafka's listeners and what lies on its disks."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.obscraft.fleet.plugins.action.fleet_preflight import ROLES
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight import kafka
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.look import Look

from tests.unit.ansible.preflight.fleets import fleet


@pytest.mark.parametrize(
    ("properties", "port", "refused"),
    [
        ({}, 9092, False),
        ({"listeners": "PLAINTEXT://:9092,CONTROLLER://:9093"}, 9092, False),
        ({"listeners": "PLAINTEXT://:9092,SSL://:9094,CONTROLLER://:9093"}, 9092, False),
        (
            {
                "listeners": "INSIDE://0.0.0.0:9092, OUTSIDE://0.0.0.0:9094",
                "listener.security.protocol.map": "INSIDE:PLAINTEXT, OUTSIDE:SSL",
            },
            9092,
            False,
        ),
        ({"listeners": "SSL://:9092,CONTROLLER://:9093"}, 9092, True),
        ({"listeners": "PLAINTEXT://:9092", "listener.security.protocol.map": "PLAINTEXT:SASL_SSL"}, 9092, True),
        ({"listeners": "PLAINTEXT://:9095"}, 9092, True),
        ({"listeners": "nonsense"}, 9092, True),
    ],
)
def test_a_listener_in_clear_is_needed(properties, port, refused):
    variables = {"kafka_properties": properties, "kafka_broker_port": port}
    assert bool(list(kafka.listeners(fleet({"node1": variables}, {"kafka": ["node1"]})))) is refused


def test_a_controller_alone_has_no_clients():
    variables = {"kafka_properties": {"listeners": "CONTROLLER://:9093"}, "kafka_process_roles": ["controller"]}
    assert list(kafka.listeners(fleet({"node1": variables}, {"kafka": ["node1"]}))) == []


@pytest.mark.parametrize(
    ("formatted", "fix"), [(False, "kafka_data_dir: /data/data"), (True, "rmdir /data/lost+found")]
)
def test_a_foreign_directory(formatted, fix):
    look = Look(os_id="debian", foreign_directories=("/data/lost+found",), kafka_is_formatted=formatted)
    one = fleet({"node1": {"kafka_data_dir": "/data"}}, {"kafka": ["node1"]}, looks={"node1": look})
    found = list(kafka.foreign_directories(one))
    assert len(found) == 1
    assert "/data/lost+found is no partition" in found[0].problem
    assert fix in found[0].fix


@pytest.mark.parametrize(
    ("name", "named"),
    [
        *((name, variable.split(",", maxsplit=1)[0]) for name, variable in kafka.OWNED.items()),
        ("zookeeper.connect", "ZooKeeper"),
        ("log dirs", "no name of a property"),
        ("log.dirs=/data", "no name of a property"),
        ("", "no name of a property"),
    ],
)
def test_a_property_that_cannot_stand_there(name, named):
    one = fleet({"node1": {"kafka_properties": {name: 1}}}, {"kafka": ["node1"]})
    (found,) = kafka.properties(one)
    assert named in found.problem + found.fix


def test_the_properties_that_win_over_the_roles_own():
    given = {"log.dirs": "/data/1,/data/2", "metadata.log.dir": "/m", "log.retention.hours": -1, "listeners": "x"}
    assert list(kafka.properties(fleet({"node1": {"kafka_properties": given}}, {"kafka": ["node1"]}))) == []


def test_each_property_that_the_role_owns_is_one_that_it_makes():
    """But for two that Kafka takes for one of those."""
    made = yaml.safe_load((ROLES / "kafka/vars/main.yml").read_text())
    names = {*made["__kafka_common_properties"], *made["__kafka_broker_properties"], "broker.rack"}
    assert set(kafka.OWNED) - names == {"broker.id", "log.dir"}


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        (["a.b", "a_b"], 1),
        (["a.b_c", "a_b.c", "a.b.c"], 2),
        (["a.b", "a-b", "ab", "a.c"], 0),
        (["a.b", "a.b"], 0),
    ],
)
def test_topics_that_collide_in_kafkas_metrics(names, pairs):
    topics = [{"name": name, "partitions": 1} for name in names]
    found = kafka.topics(fleet({"node1": {"kafka_topics": topics}}, {"kafka": ["node1"]}))
    assert sum("metrics" in problem.problem for problem in found) == pairs
