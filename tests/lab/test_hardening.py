"""The project's own units, as systemd itself judges them."""

from __future__ import annotations

import re

import pytest

from tests.lab.conftest import Fleet

#: systemd's scale goes from 0 (nothing left to take away) to 10.
WORST = 3.0


@pytest.mark.parametrize(
    ("host", "unit"),
    [
        ("app1", "obsctl-consumer"),
        ("app1", "obsctl-alerter"),
        ("node1", "obs-backend"),
        ("node1", "kafka"),
        ("node1", "filebeat"),
    ],
)
def test_a_unit_gives_up_what_it_does_not_need(fleet: Fleet, host: str, unit: str) -> None:
    shown = fleet.ssh(host, "systemd-analyze", "security", "--no-pager", f"{unit}.service", check=False)
    level = re.search(r"Overall exposure level for \S+: ([0-9.]+)", shown)
    assert level is not None, shown
    assert float(level[1]) <= WORST, shown


@pytest.mark.parametrize("host", ["node1", "node2", "node3", "db1", "app1"])
def test_no_unit_of_a_host_has_failed(healthy: Fleet, host: str) -> None:
    assert healthy.ssh(host, "systemctl", "--failed", "--no-legend", "--plain") == ""
