"""The order of a rolling restart, with the role's own tasks: brokers and systemd are stand-ins that keep a journal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
BIN = Path(sys.executable).parent

_HEALTH = """#!/usr/bin/python
import json, os, sys
from ansible.module_utils.basic import AnsibleModule
names = ("node_id", "address", "broker", "bootstrap", "require", "timeout", "tls", "unit")
spec = dict((n, {"type": "raw"}) for n in names)
module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
cluster = json.load(open(os.environ["CLUSTER"]))
restarts = [w.split()[1] for w in open(os.environ["JOURNAL"]) if w.startswith("restart")]
node = os.environ["NODE"]
down = node in cluster["down"] and node not in restarts
if down and "answering" in (module.params["require"] or []):
    module.fail_json(msg="down", missing={"answering": "down"})
leaders = cluster["leaders"]
module.exit_json(
    changed=False, missing={}, leader=leaders[min(len(restarts), len(leaders) - 1)],
    in_sync=node not in cluster["unready"] or node in restarts,
)
"""
_ELECT = """#!/usr/bin/python
import os
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule(argument_spec={"bootstrap": {"type": "list", "elements": "str"}, "tls": {"type": "dict"}})
open(os.environ["JOURNAL"], "a").write("elect\\n")
module.exit_json(changed=False, moved=0)
"""
_SYSTEMCTL = """#!/bin/sh
case "$*" in *restart*) echo "restart $NODE" >>"$JOURNAL" ;; esac
case "$*" in *show*) printf 'Id=kafka.service\\nLoadState=loaded\\nActiveState=active\\nSubState=running\\n' ;; esac
"""
_PLAYBOOK = """
- hosts: kafka
  gather_facts: false
  environment:
    {NODE: "{{ inventory_hostname }}", CLUSTER: "{{ cluster }}", JOURNAL: "{{ journal }}", PATH: "{{ path }}"}
  tasks:
    - ansible.builtin.import_role: {name: obscraft.fleet.kafka, tasks_from: restart, rolespec_validate: false}
"""


@pytest.fixture
def restart(tmp_path: Path):
    """Return a function that restarts the given cluster and returns the journal."""
    collection = tmp_path / "collections/ansible_collections/obscraft/fleet"
    modules = collection / "plugins/modules"
    modules.mkdir(parents=True)
    (modules / "kafka_node_health.py").write_text(_HEALTH)
    (modules / "kafka_elect_leaders.py").write_text(_ELECT)
    (collection / "plugins/filter").symlink_to(ROOT / "plugins/filter")
    (collection / "roles").symlink_to(ROOT / "roles")
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    (bin_folder / "systemctl").write_text(_SYSTEMCTL)
    (bin_folder / "systemctl").chmod(0o755)
    nodes = {f"node{n}": {"ansible_host": f"192.0.2.{n}", "kafka_node_id": n} for n in (1, 2, 3)}
    journal, cluster = tmp_path / "journal", tmp_path / "cluster.json"
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "cluster": str(cluster),
        "journal": str(journal),
        "path": f"{bin_folder}:{os.environ['PATH']}",
    }
    inventory = tmp_path / "inventory.json"
    inventory.write_text(json.dumps({"all": {"vars": variables, "children": {"kafka": {"hosts": nodes}}}}))
    playbook = tmp_path / "play.yml"
    playbook.write_text(_PLAYBOOK)

    def run(*, leaders: list[int], down: tuple[str, ...] = (), unready: tuple[str, ...] = ()) -> list[str]:
        journal.write_text("")
        cluster.write_text(json.dumps({"leaders": leaders, "down": down, "unready": unready}))
        environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_COLLECTIONS_PATH": str(tmp_path / "collections")}
        done = subprocess.run(
            [BIN / "ansible-playbook", "-i", inventory, playbook],
            cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return journal.read_text().splitlines()

    return run


def test_active_controller_comes_last(restart):
    assert restart(leaders=[1]) == ["restart node2", "restart node3", "restart node1", "elect"]


def test_leader_is_read_anew_before_each_turn(restart):
    # After the first restart node 3 leads.
    assert restart(leaders=[1, 3]) == ["restart node2", "restart node1", "restart node3", "elect"]


def test_what_is_down_is_restarted_together_and_first(restart):
    journal = restart(leaders=[1], down=("node2", "node3"))
    assert sorted(journal[:2]) == ["restart node2", "restart node3"]
    assert journal[2:] == ["restart node1", "elect"]


def test_what_is_not_whole_has_the_first_turn(restart):
    turns = restart(leaders=[1], unready=("node3",))
    assert turns == ["restart node3", "restart node2", "restart node1", "elect"]
