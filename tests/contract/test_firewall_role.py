"""What the firewall opens: the ports that the services really have, and ssh where it really is."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from rig import collection  # noqa: F401  # makes ansible_collections importable
from rig.rendered_role import RenderedNode

from ansible_collections.obscraft.fleet.plugins.filter.listen_ports import listen_ports  # isort: skip
from ansible_collections.obscraft.fleet.plugins.filter.listen_sockets import listen_sockets  # isort: skip

ROOT = Path(__file__).resolve().parents[2]
SOUND = Path(__file__).parent / "inventories/preflight/sound/hosts.yml"


def _zone(tmp_path: Path, host: str, **variables: Any) -> str:
    document = yaml.safe_load(SOUND.read_text())
    document["all"]["vars"] |= variables
    source = tmp_path / "hosts.yml"
    source.write_text(yaml.safe_dump(document))
    return RenderedNode(source, host, "firewall").file("zone.xml.j2")


def test_ssh_is_open_where_ansible_uses_it(tmp_path: Path):
    assert '<port port="22" protocol="tcp"/>' in _zone(tmp_path, "app1")
    moved = _zone(tmp_path, "app1", ansible_port=2222)
    assert '<port port="2222" protocol="tcp"/>' in moved
    assert 'port="22"' not in moved


@pytest.mark.parametrize(
    ("host", "variables", "opened", "closed"),
    [
        ("node1", {"nginx_listen": ["8000", "[::]:8443 ipv6only=on"]}, (8000, 8443), 80),
        ("node1", {"fleet_tls": True}, (80, 443), 8443),
        ("node1", {"fleet_tls": False}, (80,), 443),
        ("node1", {"fleet_tls": True, "nginx_http": "redirect", "nginx_tls_listen": ["8443"]}, (80, 8443), 443),
        ("node1", {"fleet_tls": True, "nginx_http": "close"}, (443,), 80),
        ("node1", {"fleet_tls": True, "nginx_http": "close", "nginx_tls_listen": []}, (80,), 443),
        ("node1", {"backend_port": 8081}, (8081,), 8080),
        ("node1", {"kafka_broker_port": 9192, "kafka_controller_port": 9193}, (9192, 9193), 9092),
        ("node1", {"kafka_tls_stage": "offer"}, (9092, 9093, 9094, 9095, 9096), 9192),
        ("node1", {"kafka_tls_stage": "tls"}, (9094, 9095, 9096), 9092),
        ("node1", {"fleet_tls": True, "kafka_tls_port": 9194}, (9194, 9095, 9096), 9093),
        ("node1", {"kafka_client_port": 9094}, (9092, 9093, 9094), 9095),
        ("db1", {"mysql_port": 3307}, (3307,), 3306),
        ("node1", {"fleet_tls": True}, (80, 443, 9094, 9095, 9096), 9092),
        ("node1", {"fleet_tls": True, "kafka_tls_stage": "offer"}, (9092, 9093, 9094, 9095, 9096), 9097),
        ("node1", {"fleet_tls": "yes", "kafka_tls_stage": "tls", "kafka_tls_controller_port": 9196}, (9196,), 9093),
        ("node1", {"fleet_tls": False, "nginx_http": "close"}, (80, 9092, 9093), 443),
        ("node1", {"kafka_process_roles": ["broker"]}, (9092,), 9093),
        ("node1", {"kafka_process_roles": ["controller"]}, (9093,), 9092),
        ("node1", {"kafka_client_port": 9192}, (9092, 9192), 9094),
        ("node1", {"kafka_client_port": 9094}, (9092, 9094), 9095),
    ],
)
def test_ports_are_the_services_own(
    tmp_path: Path, host: str, variables: dict[str, Any], opened: tuple[int, ...], closed: int
):
    zone = _zone(tmp_path, host, **variables)
    for port in opened:
        assert f'<port port="{port}" protocol="tcp"/>' in zone
    assert f'"{closed}"' not in zone


def _sources(zone: str, port: int) -> set[str]:
    rules = re.findall(r'<source address="([^"]+)"/>\s*<port port="(\d+)" protocol="tcp"/>', zone)
    return {source for source, its_port in rules if its_port == str(port)}


def test_each_port_is_open_for_its_own_clients_only(tmp_path: Path):
    zone = _zone(tmp_path, "node1", fleet_tls=True)
    nodes, app1, admin = {f"192.168.100.15{last}" for last in range(3)}, "192.168.100.161", "192.168.100.10"
    assert _sources(zone, 22) == {admin}
    assert _sources(zone, 8080) == nodes | {admin}
    assert _sources(zone, 9094) == nodes | {app1, admin}
    assert _sources(zone, 9095) == _sources(zone, 9096) == nodes
    assert _sources(_zone(tmp_path, "node1"), 9092) == nodes | {app1, admin}
    assert _sources(_zone(tmp_path, "db1"), 3306) == {app1, admin}


def test_what_is_for_the_host_alone_is_in_no_rule(tmp_path: Path):
    for host in ("node1", "app1"):
        zone = _zone(tmp_path, host)
        assert not [port for port in (8081, 5066, 9600, 9601) if f'"{port}"' in zone]


_SUDO = """#!/bin/sh
# As sudo does: the environment stays behind.
while [ "$1" != /bin/sh ]; do shift; done
exec env -i PATH="$PATH" "$@"
"""


def test_lock_out_is_refused_also_under_sudo(tmp_path: Path):
    sudo = tmp_path / "sudo"
    sudo.write_text(_SUDO)
    sudo.chmod(0o755)
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "ansible_become": True,
        "ansible_become_exe": str(sudo),
        "fleet_admin_sources": ["192.0.2.0/24"],
    }
    inventory = tmp_path / "inventory.json"
    inventory.write_text(json.dumps({"all": {"hosts": {"app1": variables}}}))
    playbook = tmp_path / "play.yml"
    playbook.write_text("[{hosts: all, gather_subset: [min], roles: [obscraft.fleet.firewall]}]")
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"), "ANSIBLE_NOCOLOR": "1"}
    environment |= {"SSH_CLIENT": "203.0.113.9 50000 22", "ANSIBLE_BECOME_ALLOW_SAME_USER": "1"}
    done = subprocess.run(
        [Path(sys.executable).parent / "ansible-playbook", "-i", inventory, playbook, "--check"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert "This run comes from 203.0.113.9, which is not in firewall_admin_sources" in done.stdout, done.stdout


def test_ports_in_every_form_of_listen():
    forms = ["80", "80 reuseport", "192.0.2.1:8080", "[::]:443 ssl", "localhost:81", "192.0.2.1", "unix:/run/x"]
    assert listen_ports(forms) == [80, 8080, 443, 81]
    assert listen_ports([8000]) == [8000]


def test_sockets_in_every_form_of_listen():
    forms = ["80", "0.0.0.0:80 reuseport", "192.0.2.1:8080", "[::]:443 ssl", "localhost:81", "192.0.2.2", "unix:/run/x"]
    assert listen_sockets(forms) == ["0.0.0.0:80", "192.0.2.1:8080", "[::]:443", "localhost:81", "192.0.2.2:80"]
    assert listen_sockets([8000]) == ["0.0.0.0:8000"]
