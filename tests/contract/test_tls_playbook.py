"""The way of a running fleet to TLS and back, with stand-ins for the services' playbooks that keep a journal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
STAGES = {
    "clear": "CONTROLLER",
    "offer": "CONTROLLER,CONTROLLER_TLS",
    "move": "CONTROLLER_TLS,CONTROLLER",
    "tls": "CONTROLLER_TLS",
}
#: Stand-ins: what it stands for, the group, what it notes beside its name.
SERVICES = {
    "firewall": ("kafka", "kafka_tls_stage"),
    "mysql": ("mysql", "mysql_tls"),
    "kafka": ("kafka", "kafka_tls_stage"),
    "consumer": ("consumer", "kafka_tls_stage"),
    "console": ("consumer", "kafka_tls_stage"),
    "filebeat": ("filebeat", "kafka_tls_stage"),
}
THERE = [
    "firewall offer", "mysql offer", "kafka offer", "consumer offer", "console offer", "filebeat offer",
    "firewall move", "mysql offer", "kafka move",
    "mysql require", "kafka tls", "firewall tls",
]  # fmt: skip
BACK = [
    "firewall move", "mysql offer", "kafka move",
    "firewall offer", "mysql offer", "kafka offer",
    "consumer clear", "console clear", "filebeat clear",
    "mysql clear", "kafka clear", "firewall clear",
]  # fmt: skip


class Way(NamedTuple):
    """What a run did: its steps, each once, in their order; the stage of each node afterwards; what it said."""

    steps: list[str]
    stages: list[str]
    said: str


@pytest.fixture
def move(tmp_path: Path):
    """Return a function that runs the playbook."""
    books = tmp_path / "playbooks"
    books.mkdir()
    for path in (ROOT / "ansible/playbooks").glob("tls*.yml"):
        (books / path.name).symlink_to(path)
    (books / "preflight.yml").write_text("[{hosts: all, gather_facts: false}]")
    journal = tmp_path / "journal"
    for name, (group, variable) in SERVICES.items():
        note = f"echo '{name} {{{{ {variable} }}}}' >> {journal}"
        tasks: list[dict[str, Any]] = [{"ansible.builtin.shell": note}]
        tasks.append({"ansible.builtin.fail": None, "when": f"broken | default('') == '{name}'"})
        if name == "kafka":
            line = "controller.listener.names={{ names[kafka_tls_stage] }}\n"
            copy = {"content": line, "dest": "{{ kafka_config_dir }}/server.properties"}
            tasks.append({"ansible.builtin.copy": copy, "vars": {"names": STAGES}})
        play = {"hosts": group, "gather_facts": False, "tasks": tasks}
        (books / f"{name}.yml").write_text(yaml.safe_dump([play]))
    nodes = {f"node{n}": {"kafka_config_dir": str(tmp_path / f"node{n}")} for n in (1, 2)}
    hosts = {**nodes, "app1": {}, "db1": {}}
    groups = {"kafka": list(nodes), "filebeat": list(nodes), "consumer": ["app1"], "mysql": ["db1"]}
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "ansible_become": False}

    def run(
        found: tuple[str, str],
        *options: str,
        fleet_tls: bool,
        broken: dict[str, str] | None = None,
        fails: bool = False,
    ) -> Way:
        for name, stage in zip(nodes, found, strict=True):
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / "server.properties").write_text(f"a=b\ncontroller.listener.names={STAGES[stage]}\n")
        own = {name: {**given, "broken": (broken or {}).get(name, "")} for name, given in hosts.items()}
        children = {group: {"hosts": dict.fromkeys(members)} for group, members in groups.items()}
        everything = {"hosts": own, "children": children, "vars": {**local, "fleet_tls": fleet_tls}}
        (tmp_path / "hosts.json").write_text(json.dumps({"all": everything}))
        journal.write_text("")
        done = subprocess.run(
            [BIN / "ansible-playbook", "-i", tmp_path / "hosts.json", books / "tls.yml", *options],
            cwd=tmp_path,
            env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections")},
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert (done.returncode != 0) is (fails or bool(broken)), done.stdout + done.stderr
        lines = journal.read_text().splitlines()
        steps = [line for place, line in enumerate(lines) if lines[max(0, place - 1)] != line or place == 0]
        by_names = {names: stage for stage, names in STAGES.items()}
        texts = [(tmp_path / name / "server.properties").read_text() for name in nodes]
        stages = [by_names[text.strip().rpartition("\n")[2].partition("=")[2]] for text in texts]
        return Way(steps, stages, done.stdout)

    return run


@pytest.mark.long
def test_there_and_back(move) -> None:
    way = move(("clear", "clear"), fleet_tls=True)
    assert (way.steps, way.stages) == (THERE, ["tls", "tls"])
    way = move(("tls", "tls"), fleet_tls=False)
    assert (way.steps, way.stages) == (BACK, ["clear", "clear"])


@pytest.mark.parametrize(
    ("found", "fleet_tls", "steps"),
    [
        (("tls", "tls"), True, THERE[-3:]),
        (("move", "tls"), True, THERE[-6:]),
        (("clear", "offer"), False, BACK[3:]),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else None,
)
def test_a_run_goes_on_where_the_last_one_ended(
    move, found: tuple[str, str], fleet_tls: bool, steps: list[str]
) -> None:
    assert move(found, fleet_tls=fleet_tls).steps == steps


def test_a_client_that_fails_keeps_its_listener(move) -> None:
    """Otherwise the cluster would go on without it, and close the port that it still uses."""
    way = move(("clear", "clear"), fleet_tls=True, broken={"node2": "filebeat"})
    assert way.stages == ["offer", "offer"]
    assert way.steps == THERE[:6]
    said = " ".join(way.said.split())
    assert "node2 did not reach the stage offer" in said
    assert "ansible-playbook playbooks/tls.yml -i /" in said


def test_a_part_of_the_fleet_is_refused(move) -> None:
    way = move(("clear", "clear"), "--limit", "node1", fleet_tls=True, fails=True)
    assert (way.steps, way.stages) == ([], ["clear", "clear"])
    assert "Run it without --limit" in way.said


def test_a_broker_that_fails_stays_within_reach_of_the_others(move) -> None:
    way = move(("clear", "clear"), fleet_tls=True, broken={"node2": "kafka"})
    assert way.stages == ["offer", "clear"]
    assert "consumer offer" not in way.steps
