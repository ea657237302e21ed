"""The VRRP instance, its check, and what becomes of the address when keepalived dies."""

from __future__ import annotations

import http.server
import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from rig.ports import free_port
from rig.rendered_role import RenderedNode
from rig.waiting import HANGS_S
from tests.contract.roles.conftest import BIN, HERE, ROOT, Rendered

RECORDED = HERE / "recorded"


def test_the_instance_never_preempts_and_weighs_nothing(rendered: Rendered) -> None:
    text = re.sub("#.*", "", rendered.text("keepalived.conf"))
    assert "state BACKUP" in text
    assert "nopreempt" in text
    assert "weight" not in text
    assert re.findall(r"192\.0\.2\.1\d\b", text) == ["192.0.2.11", "192.0.2.12", "192.0.2.13"]
    assert "192.0.2.100/24 dev lo" in text
    assert re.search(r"script_user keepalived_script", text)


@pytest.mark.skipif(shutil.which("keepalived") is None, reason="keepalived is not installed")
def test_keepalived_accepts_it(rendered: Rendered, tmp_path: Path) -> None:
    script = tmp_path / "check"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    # The rendering is for the loopback interface, on which keepalived refuses to run VRRP.
    interface = next((name for _, name in socket.if_nameindex() if name != "lo"), None)
    if interface is None:
        pytest.skip("this machine has no interface but the loopback")
    text = rendered.text("keepalived.conf").replace("keepalived_script", "root", 1)
    text = re.sub(r"\b(interface|dev) lo\b", rf"\1 {interface}", text)
    config = tmp_path / "keepalived.conf"
    config.write_text(text.replace("/usr/libexec/keepalived/obs-check-nginx", str(script)))
    done = subprocess.run(["keepalived", "-t", "-f", config], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _multicasts(interface: str) -> bool:
    return bool(int(Path(f"/sys/class/net/{interface}/flags").read_text(), 16) & 0x1000)


@pytest.mark.skipif(shutil.which("keepalived") is None, reason="keepalived is not installed")
@pytest.mark.parametrize("balancers", [1, 2])
def test_keepalived_accepts_a_fleet_of_one_balancer(tmp_path: Path, balancers: int) -> None:
    interface = next((name for _, name in socket.if_nameindex() if name != "lo" and _multicasts(name)), None)
    if interface is None:
        pytest.skip("this machine has no interface but the loopback that takes multicast")
    hosts = {
        f"node{n}": {
            "ansible_host": f"192.0.2.{n}",
            "keepalived_priority": 100 - n,
            "keepalived_interface": interface,
            "keepalived_auth_pass": "eight888",
            "fleet_vip": "192.0.2.100",
            "fleet_vip_prefix": 24,
        }
        for n in range(1, balancers + 1)
    }
    inventory = tmp_path / "hosts.json"
    inventory.write_text(json.dumps({"lb": {"hosts": hosts}}))
    text = RenderedNode(inventory, "node1", "keepalived").file("keepalived.conf.j2")
    config = tmp_path / "keepalived.conf"
    text = text.replace("keepalived_script", "root", 1)
    config.write_text(text.replace("/usr/libexec/keepalived/obs-check-nginx", "/bin/true"))
    done = subprocess.run(["keepalived", "-t", "-f", config], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("recorded", "address", "interface"),
    [
        ("two-interfaces", "198.51.100.11", "eth1"),
        ("two-interfaces", "192.0.2.5", "eth0"),
        ("no-default-route", "198.51.100.11", "eth1"),
        # A second address of the interface.
        ("no-default-route", "198.51.100.100", "eth1"),
        ("two-interfaces", "203.0.113.7", ""),
        ("two-interfaces", "127.0.0.1", ""),
    ],
)
def test_the_interface_is_the_one_that_has_the_hosts_address(
    tmp_path: Path, recorded: str, address: str, interface: str
) -> None:
    facts = json.loads((RECORDED / f"facts-{recorded}.json").read_text())
    inventory = tmp_path / "hosts.json"
    inventory.write_text(json.dumps({"lb": {"hosts": {"node1": {"ansible_host": address}}}}))
    node = RenderedNode(inventory, "node1", "keepalived", facts)
    assert node.value("keepalived_interface") == interface
    if interface:
        assert f"    interface {interface}\n" in RenderedNode(
            _with_secrets(inventory), "node1", "keepalived", facts
        ).file("keepalived.conf.j2")


def _with_secrets(inventory: Path) -> Path:
    hosts = json.loads(inventory.read_text())
    hosts["lb"]["vars"] = {
        "keepalived_auth_pass": "eightchr", "keepalived_priority": 100, "fleet_vip": "198.51.100.99",
        "fleet_vip_prefix": 24,
    }  # fmt: skip
    inventory.write_text(json.dumps(hosts))
    return inventory


def test_a_host_without_its_own_address_is_refused_by_name(tmp_path: Path) -> None:
    playbook = tmp_path / "play.yml"
    playbook.write_text("""
- hosts: node1
  gather_facts: false
  tasks:
    - ansible.builtin.import_role: {name: obscraft.fleet.keepalived, tasks_from: preflight, rolespec_validate: false}
""")
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"), "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(
        [BIN / "ansible-playbook", "-i", HERE / "inventory.yml", playbook, "-e", "keepalived_auth_pass=eightchr"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "No network interface of node1 has its ansible_host 192.0.2.11" in " ".join(
        (done.stdout + done.stderr).split()
    )


class _Server(http.server.BaseHTTPRequestHandler):
    status = 200
    delay_s = 0.0

    def do_GET(self) -> None:
        time.sleep(self.delay_s)
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize(
    ("status", "delay_s", "passes"), [(200, 0.0, True), (500, 0.0, False), (404, 0.0, False), (200, 2 * HANGS_S, False)]
)
def test_the_check_passes_only_on_a_prompt_200(
    rendered: Rendered, tmp_path: Path, status: int, delay_s: float, passes: bool
) -> None:
    handler = type("Handler", (_Server,), {"status": status, "delay_s": delay_s})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        threading.Thread(target=server.serve_forever, daemon=True).start()
        began = time.monotonic()
        assert _check(rendered, tmp_path, server.server_address[1]) is passes
        assert time.monotonic() - began < HANGS_S
        server.shutdown()


def test_the_check_fails_where_nothing_listens(rendered: Rendered, tmp_path: Path) -> None:
    assert _check(rendered, tmp_path, free_port()) is False


def _check(rendered: Rendered, folder: Path, port: int) -> bool:
    script = folder / "check.sh"
    script.write_text(rendered.text("obs-check-nginx").replace("/8081", f"/{port}"))
    done = subprocess.run(["bash", script], capture_output=True, check=False, timeout=10)
    return done.returncode == 0


_NAMESPACE = pytest.mark.skipif(
    os.geteuid() != 0 or not all(shutil.which(tool) for tool in ("unshare", "ip")),
    reason="a network namespace of its own needs root, unshare and ip",
)


def _remove_vip(rendered: Rendered, before: str) -> str:
    """Run the script in a network namespace whose loopback has the VIP; return the addresses that it leaves."""
    commands = f"""
        ip link set lo up
        ip address add 192.0.2.11/24 dev lo
        ip address add 192.0.2.100/24 dev lo
        {before}
        sh {rendered.folder / "obs-remove-vip"} >&2
        status=$?
        ip -oneline -4 address show
        [ -z "$!" ] || kill $!
        exit $status
    """
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", commands], capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@_NAMESPACE
def test_an_address_that_a_killed_keepalived_left_is_removed(rendered: Rendered) -> None:
    left = _remove_vip(rendered, before=":")
    assert "192.0.2.100/" not in left
    assert "192.0.2.11/" in left, "only the virtual address goes"


@_NAMESPACE
def test_after_a_clean_stop_there_is_nothing_to_remove(rendered: Rendered) -> None:
    assert "192.0.2.11/" in _remove_vip(rendered, before="ip address delete 192.0.2.100/24 dev lo")


@_NAMESPACE
@pytest.mark.parametrize(("where", "stays"), [("", True), ("unshare --net ", False)])
def test_the_address_of_a_keepalived_that_runs_stays(
    rendered: Rendered, tmp_path: Path, where: str, stays: bool
) -> None:
    # The name of a process is that of its program. In a container beside it, it is somebody else's keepalived.
    running = tmp_path / "keepalived"
    shutil.copy(str(shutil.which("sleep")), running)
    wait = 'until [ "$(cat /proc/$!/comm)" = keepalived ]; do sleep 0.01; done'
    left = _remove_vip(rendered, before=f"{where}{running} 30 & {wait}")
    assert ("192.0.2.100/" in left) is stays


def test_keepalived_is_started_again_and_removes_its_address(rendered: Rendered, tmp_path: Path) -> None:
    drop_in = (ROOT / "roles/keepalived/files/obscraft.conf").read_text()
    settings = dict(line.split("=", 1) for line in drop_in.splitlines() if "=" in line and line[0] != "#")
    assert settings["Restart"] == "always"
    assert settings["StartLimitInterval"] == "0"
    assert settings["KillMode"] == "control-group"
    script = settings["ExecStopPost"].split()[-1]
    assert f'script "{Path(script).parent}/obs-check-nginx"' in rendered.text("keepalived.conf"), "both lie together"
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed here")
    unit = tmp_path / "keepalived.service"
    unit.write_text("[Service]\nType=notify\nExecStart=/bin/true\n")
    (tmp_path / "keepalived.service.d").mkdir()
    (tmp_path / "keepalived.service.d/obscraft.conf").write_text(drop_in)
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert "obscraft.conf" not in done.stderr, "systemd knows every setting"


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({}, "http://198.18.0.100:80/healthz"),
        ({"nginx_listen": ["8080"]}, "http://198.18.0.100:8080/healthz"),
        ({"fleet_tls": True, "nginx_http": "close"}, "https://198.18.0.100:443/healthz"),
        ({"fleet_tls": True, "nginx_tls_listen": ["8443"]}, "https://198.18.0.100:8443/healthz"),
        ({"fleet_tls": True, "nginx_tls_listen": []}, "http://198.18.0.100:80/healthz"),
    ],
)
def test_the_vip_is_asked_where_nginx_answers(tmp_path: Path, variables: dict[str, Any], url: str) -> None:
    inventory = tmp_path / "hosts.json"
    everywhere = {"fleet_vip": "198.18.0.100", "fleet_vip_prefix": 24} | variables
    hosts = {"node1": {"ansible_host": "198.18.0.11", **everywhere}}
    inventory.write_text(json.dumps({"all": {"children": {"lb": {"hosts": hosts}}}}))
    assert RenderedNode(inventory, "node1", "keepalived").value("keepalived_verify_url") == url
