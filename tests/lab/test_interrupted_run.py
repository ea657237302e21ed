"""A run that was cut off between writing files and applying them is made good by the next one."""

from __future__ import annotations

import os
import re
import subprocess

from tests.lab.conftest import BIN, ROOT, Fleet

#: Playbook, host, unit, and a file that the unit reads.
WRITTEN = (
    ("firewall", "app1", "firewalld", "/etc/firewalld/firewalld.conf"),
    ("kafka", "node2", "kafka", "/etc/kafka/server.properties"),
    ("nginx", "node2", "nginx", "/etc/nginx/nginx.conf"),
    ("consumer", "app1", "obsctl-alerter", "/etc/obsctl/alerter.yml"),
    ("filebeat", "node2", "filebeat", "/etc/filebeat/filebeat.yml"),
)


def _play() -> tuple[dict[str, int], str]:
    """Run the playbooks, in one run; return how much each host says was changed, and all that was said."""
    playbooks = [f"playbooks/{playbook}.yml" for playbook, *_ in WRITTEN]
    command = [BIN / "ansible-playbook", *playbooks, "-i", "inventories/lab", "--limit", "node2,app1"]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "ANSIBLE_NOCOLOR": "1"}, capture_output=True, text=True, timeout=500,
        check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    recap = re.findall(r"^(\S+) +:.* changed=(\d+)", done.stdout, re.MULTILINE)
    return {host: int(count) for host, count in recap}, done.stdout


def _last_changes(fleet: Fleet) -> dict[str, int]:
    show = ("systemctl", "show", "--property=StateChangeTimestampMonotonic", "--value")
    return {unit: int(fleet.ssh(host, *show, unit)) for _, host, unit, _ in WRITTEN}


def test_what_was_written_and_not_applied_is_applied(healthy: Fleet) -> None:
    before = _last_changes(healthy)
    # What an interrupted run leaves: the right content, newer than the process.
    for _, host, _, file in WRITTEN:
        healthy.ssh(host, "touch", file)
    changed, said = _play()
    for host in ("node2", "app1"):
        assert changed[host] >= sum(of == host for _, of, *_ in WRITTEN), said
    after = _last_changes(healthy)
    assert [unit for unit in before if after[unit] <= before[unit]] == [], said
    healthy.wait_healthy()
    changed, said = _play()
    assert set(changed.values()) == {0}, said
