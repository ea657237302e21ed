"""A run that was cut off between writing a file and applying it is made good by the next one."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from tests.lab.conftest import BIN, ROOT, Fleet


def _play(playbook: str, host: str) -> str:
    command = [BIN / "ansible-playbook", "-i", "inventories/lab", f"playbooks/{playbook}.yml", "--limit", host]
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _last_change(fleet: Fleet, host: str, unit: str) -> int:
    shown = fleet.ssh(host, "systemctl", "show", "--property=StateChangeTimestampMonotonic", "--value", unit)
    return int(shown)


@pytest.mark.parametrize(
    ("playbook", "host", "unit", "file"),
    [
        ("nginx", "node2", "nginx", "/etc/nginx/nginx.conf"),
        ("filebeat", "node2", "filebeat", "/etc/filebeat/filebeat.yml"),
        ("kafka", "node2", "kafka", "/etc/kafka/server.properties"),
        ("firewall", "app1", "firewalld", "/etc/firewalld/firewalld.conf"),
        ("consumer", "app1", "obsctl-alerter", "/etc/obsctl/alerter.yml"),
    ],
)
def test_what_was_written_and_not_applied_is_applied(
    healthy: Fleet, playbook: str, host: str, unit: str, file: str
) -> None:
    before = _last_change(healthy, host, unit)
    # What an interrupted run leaves: the right content, newer than the process.
    healthy.ssh(host, "touch", file)
    assert re.search(r"changed=[1-9]", _play(playbook, host))
    assert _last_change(healthy, host, unit) > before
    healthy.wait_healthy()
    assert not re.search(r"changed=[1-9]", _play(playbook, host))
