"""The properties that the role owns, and those that win over its own."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.obscraft.fleet.plugins.action.fleet_preflight import ROLES
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight import kafka_cluster

from tests.unit.ansible.preflight.fleets import fleet


@pytest.mark.parametrize(
    ("name", "named"),
    [
        *((name, variable.split(",", maxsplit=1)[0]) for name, variable in kafka_cluster.OWNED.items()),
        ("zookeeper.connect", "ZooKeeper"),
        ("log dirs", "no name of a property"),
        ("log.dirs=/data", "no name of a property"),
        ("", "no name of a property"),
    ],
)
def test_a_property_that_cannot_stand_there(name, named):
    one = fleet({"node1": {"kafka_properties": {name: 1}}}, {"kafka": ["node1"]})
    (found,) = kafka_cluster.properties(one)
    assert named in found.problem + found.fix


def test_the_properties_that_win_over_the_roles_own():
    given = {"log.dirs": "/data/1,/data/2", "metadata.log.dir": "/m", "log.retention.hours": -1, "listeners": "x"}
    assert list(kafka_cluster.properties(fleet({"node1": {"kafka_properties": given}}, {"kafka": ["node1"]}))) == []


def test_each_property_that_the_role_owns_is_one_that_it_makes():
    """But for two that Kafka takes for one of those."""
    made = yaml.safe_load((ROLES / "kafka/vars/main.yml").read_text())
    names = {*made["__kafka_common_properties"], *made["__kafka_broker_properties"], "broker.rack"}
    assert set(kafka_cluster.OWNED) - names == {"broker.id", "log.dir"}
