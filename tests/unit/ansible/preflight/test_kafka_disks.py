"""What lies on Kafka's disks."""

from __future__ import annotations

import pytest
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight import kafka_disks
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.look import Look

from tests.unit.ansible.preflight.fleets import fleet


@pytest.mark.parametrize(
    ("formatted", "fix"), [(False, "kafka_data_dir: /data/data"), (True, "rmdir /data/lost+found")]
)
def test_a_foreign_directory(formatted, fix):
    look = Look(os_id="debian", foreign_directories=("/data/lost+found",), kafka_is_formatted=formatted)
    one = fleet({"node1": {"kafka_data_dir": "/data"}}, {"kafka": ["node1"]}, looks={"node1": look})
    found = list(kafka_disks.foreign_directories(one))
    assert len(found) == 1
    assert "/data/lost+found is no partition" in found[0].problem
    assert fix in found[0].fix
