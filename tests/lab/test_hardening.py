"""The project's own units, as systemd itself judges them."""

from __future__ import annotations

import re

import pytest

from tests.lab.conftest import ONE_OF_EACH, Fleet

#: The worst exposure level of each unit: systemd's scale goes from 0 (nothing left to take away) to 10.
CONSUMER_UNITS = {"obsctl-consumer": 1.5, "obsctl-alerter": 1.5}
BALANCER_UNITS = {"obs-backend": 3.0, "kafka": 3.0, "filebeat": 3.0}


@pytest.mark.parametrize(
    ("host", "unit", "worst"),
    [
        *(("app1", unit, worst) for unit, worst in CONSUMER_UNITS.items()),
        *((host, unit, worst) for host in ONE_OF_EACH for unit, worst in BALANCER_UNITS.items()),
    ],
)
def test_a_unit_gives_up_what_it_does_not_need(fleet: Fleet, host: str, unit: str, worst: float) -> None:
    shown = fleet.ssh(host, "systemd-analyze", "security", "--no-pager", f"{unit}.service", check=False)
    level = re.search(r"Overall exposure level for \S+: ([0-9.]+)", shown)
    assert level is not None, shown
    assert float(level[1]) <= worst, shown


@pytest.mark.parametrize("host", ["node1", "node2", "node3", "db1", "app1"])
def test_no_unit_of_a_host_has_failed(fleet: Fleet, host: str) -> None:
    assert fleet.ssh(host, "systemctl", "--failed", "--no-legend", "--plain") == ""
