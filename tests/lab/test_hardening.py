"""The project's own units, as systemd itself judges them."""

from __future__ import annotations

import re

import pytest

from tests.contract.roles.test_confinement import WORST
from tests.lab.conftest import ONE_OF_EACH, Fleet

#: The most that each unit may score on systemd's scale, from 0 (nothing left to take away) to 10.
CONSUMER_UNITS = {"obsctl-consumer": 1.5, "obsctl-alerter": 1.5}
UNITS = [
    *(("app1", unit, worst) for unit, worst in CONSUMER_UNITS.items()),
    *((host, unit, worst) for host in ONE_OF_EACH for unit, worst in WORST.items()),
]


@pytest.mark.parametrize(("host", "unit", "worst"), UNITS)
def test_a_unit_gives_up_what_it_does_not_need(fleet: Fleet, host: str, unit: str, worst: float) -> None:
    shown = fleet.ssh(host, "systemd-analyze", "security", "--no-pager", f"{unit}.service", check=False)
    level = re.search(r"Overall exposure level for \S+: ([0-9.]+)", shown)
    assert level is not None, shown
    assert float(level[1]) <= worst, shown


@pytest.mark.parametrize(("host", "unit"), [(host, unit) for host, unit, _worst in UNITS])
def test_the_running_process_has_given_it_up(fleet: Fleet, host: str, unit: str) -> None:
    """Settings count from a unit's start on: a package that starts its unit too early would run without them."""
    pid = fleet.ssh(host, "systemctl", "show", "--property=MainPID", "--value", unit).strip()
    # A filter of system calls (2), and none of the capabilities to load modules (16) and to trace processes (19).
    status = dict(re.findall(r"(\w+):\s+(\S+)", fleet.ssh(host, "cat", f"/proc/{pid}/status")))
    assert status["Seccomp"] == "2"
    assert int(status["CapBnd"], 16) & (1 << 16 | 1 << 19) == 0


@pytest.mark.parametrize("host", ONE_OF_EACH)
def test_lines_are_not_readable_for_every_account_of_their_host(fleet: Fleet, host: str) -> None:
    assert fleet.ssh(host, "find", "/var/log/nginx", "-type", "f", "-perm", "/o=r").split() == []


@pytest.mark.parametrize("host", ["node1", "node2", "node3", "db1", "app1"])
def test_no_unit_of_a_host_has_failed(fleet: Fleet, host: str) -> None:
    assert fleet.ssh(host, "systemctl", "--failed", "--no-legend", "--plain") == ""
