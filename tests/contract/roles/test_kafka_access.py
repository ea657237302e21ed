"""What the role says where it cannot give Kafka's users their passwords."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from rig.ports import free_port
from tests.contract.roles.conftest import BIN, ROOT

PASSWORD = "a password that nobody may see"
USERS = ("filebeat", "consumer", "alerter", "console", "obsctl", "admin")


@pytest.mark.root
@pytest.mark.skipif(
    not (BIN / "ansible-playbook").exists(), reason="Ansible is not installed: pip install -e '.[control]'"
)
def test_the_reason_is_shown_and_no_password(tmp_path: Path) -> None:
    """The task that has the passwords shows nothing, so that another one must."""
    port = free_port()
    variables = {
        "ansible_connection": "local", "ansible_python_interpreter": sys.executable, "ansible_host": "127.0.0.1",
        "kafka_node_id": 1, "kafka_config_dir": str(tmp_path), "kafka_tls_broker_port": port, "kafka_start_timeout": 0,
        "fleet_tls": True, "fleet_tls_dir": str(tmp_path / "tls"),
        **{f"kafka_{user}_password": "env:PASSWORD" for user in USERS},
    }  # fmt: skip
    inventory, play = tmp_path / "hosts.json", tmp_path / "play.yml"
    inventory.write_text(json.dumps({"all": {"children": {"kafka": {"hosts": {"node1": variables}}}}}))
    role = {"name": "obscraft.fleet.kafka", "tasks_from": "access", "rolespec_validate": False}
    tasks = [{"ansible.builtin.include_role": role}]
    play.write_text(yaml.safe_dump([{"hosts": "kafka", "gather_facts": False, "tasks": tasks}]))
    done = subprocess.run(
        [BIN / "ansible-playbook", "-i", inventory, play], cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", "PASSWORD": PASSWORD}, timeout=120,
    )  # fmt: skip
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode != 0, said
    assert f"users: SSL://127.0.0.1:{port}: " in said
    assert PASSWORD not in said
    assert PASSWORD in (tmp_path / "admin.properties").read_text()
    assert (tmp_path / "admin.properties").stat().st_mode & 0o777 == 0o600
