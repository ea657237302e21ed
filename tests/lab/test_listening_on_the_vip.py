"""Nginx may listen on the virtual address alone: it runs on the balancers that do not hold it, and takes over."""

from __future__ import annotations

import http.client
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.conftest import BIN, NODES, ROOT, VIP, Fleet, get, long_drill, wait_for

#: Three rounds of playbooks take their time on a busy machine.
pytestmark = [long_drill, pytest.mark.timeout(1200)]

INVENTORY = ROOT / "inventories/lab"
SETTING = "net.ipv4.ip_nonlocal_bind"
FILE = "/etc/sysctl.d/60-obscraft-nginx.conf"


def _apply(inventory: Path) -> str:
    """Run the balancers' roles and return what was said."""
    done = subprocess.run(
        [BIN / "ansible-playbook", "playbooks/lb.yml", "-i", inventory],
        cwd=ROOT, env={**os.environ, "ANSIBLE_NOCOLOR": "1"}, capture_output=True, text=True, timeout=550, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _sockets(fleet: Fleet, node: str) -> set[str]:
    return {line.split()[3] for line in fleet.ssh(node, "ss", "-H", "-l", "-t", "-n").splitlines()}


@pytest.fixture
def inventory(healthy: Fleet, tmp_path: Path) -> Iterator[Path]:
    """The lab's inventory, in which nginx listens on the VIP alone; applied, and taken back afterwards."""
    copy = tmp_path / "lab"
    shutil.copytree(INVENTORY, copy)
    (copy / "group_vars/lb/listen.yml").write_text(f"---\nnginx_listen: ['{VIP}:80']\n")
    try:
        _apply(copy)
        yield copy
    finally:
        for node in NODES:
            healthy.ssh(node, "systemctl", "start", "nginx", check=False)
        _apply(INVENTORY)
    for node in NODES:
        assert "0.0.0.0:80" in _sockets(healthy, node)
        assert healthy.ssh(node, "sysctl", "-n", SETTING) == "0\n"
        assert healthy.ssh(node, "sh", "-c", f"ls {FILE} || true") == ""
    healthy.wait_healthy()


def _answered_by() -> str | None:
    try:
        return get("/")[1].get("x-balancer")
    except (OSError, http.client.HTTPException):
        return None


def test_a_backup_starts_without_the_address_and_takes_over(inventory: Path, fleet: Fleet) -> None:
    assert _apply(inventory).count("changed=0 ") == len(NODES)
    holder = wait_for("a holder", fleet.holder)
    backups = [node for node in NODES if node != holder]
    for node in NODES:
        assert {socket for socket in _sockets(fleet, node) if socket.endswith(":80")} == {f"{VIP}:80"}
        assert fleet.ssh(node, "sysctl", "-n", SETTING) == "1\n"
    # What a reboot does: the unit starts while the address is elsewhere.
    for node in backups:
        fleet.ssh(node, "systemctl", "restart", "nginx")
        assert fleet.ssh(node, "systemctl", "is-active", "nginx") == "active\n"
    report = fleet.obsctl("-i", str(inventory), "verify", "vip", "-o", "json")
    assert report.code == 0, report.out

    fleet.ssh(holder, "systemctl", "stop", "nginx")
    wait_for("another balancer", lambda: _answered_by() in backups, seconds=30)
    assert wait_for("a holder", fleet.holder) in backups
    stopped = fleet.obsctl("-i", str(inventory), "verify", "vip", "-o", "json")
    assert "VIP_NGINX_DOWN" in stopped.codes, stopped.out
