"""Kafka's listeners and what lies on its disks."""

from __future__ import annotations

import pytest
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
