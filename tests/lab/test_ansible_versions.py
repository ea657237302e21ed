"""The roles under the targets' old Pythons, each with an ansible-core that serves it.

The hosts get an interpreter that is really that old, at the path where it lies on this machine, and the playbooks run
with it: each module with the roles' own arguments. On the way one of these runs makes good what a run that was cut off
between writing files and applying them has left; that nothing of it remains is shown by test_manual.py's ``site.yml``.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from rig.ansible_cores import programs_of
from tests.lab.conftest import BIN, INVENTORY, ROOT, Answer, Fleet, play

#: What an interpreter does not need to run a module.
_LEFT_OUT = ("*/test", "*/tests", "*/__pycache__", "*.a", "*.pyc", "*/share", "*/include", "*/site-packages/*")
#: Package managers, and beside this file the folder of the module that means each under Python 2.7.
_MANAGERS = {"debian12": "apt", "el9": "dnf"}
#: Host, unit, and a file that the unit reads.
WRITTEN = (
    ("app1", "firewalld", "/etc/firewalld/firewalld.conf"),
    ("node2", "kafka", "/etc/kafka/server.properties"),
    ("node2", "nginx", "/etc/nginx/nginx.conf"),
    ("app1", "obsctl-alerter", "/etc/obsctl/alerter.yml"),
    ("node2", "filebeat", "/etc/filebeat/filebeat.yml"),
)
#: In the names of the tasks that find a unit older than its files, and notify the handlers that apply them.
_FINDS_STALE = "with the disk"


def _interpreter(version: str) -> Path:
    folder = Path(os.environ.get("OBSCTL_TEST_PYTHONS", Path.home() / ".pyenv/versions"))
    found = sorted(folder.glob(f"{version}.*/bin/python{version}"))
    if not found:
        pytest.skip(f"no Python {version} below {folder}; OBSCTL_TEST_PYTHONS names a folder of versions")
    return found[-1]


def _give(fleet: Fleet, host: str, interpreter: Path) -> None:
    home = interpreter.parents[1]
    excluded = [f"--exclude={pattern}" for pattern in _LEFT_OUT]
    with subprocess.Popen(
        ["tar", "--create", *excluded, f"--directory={home.parent}", home.name], stdout=subprocess.PIPE
    ) as packed:
        unpack = [BIN / "obsctl", "lab", "ssh", host, "--", "tar", "--extract", f"--directory={home.parent}"]
        fleet.ssh(host, "mkdir", "-p", str(home.parent))
        subprocess.run(unpack, cwd=ROOT, stdin=packed.stdout, check=True, timeout=120)


@dataclass(frozen=True)
class OldPythons:
    """Hosts whose modules run under interpreters of their own.

    Attributes:
        programs: the folder of the programs of ansible-core.
        targets: host to version.
        inventory: names each host's interpreter; used beside the lab's own.
        stubs: folders of modules that stand for the package managers of the hosts under 2.7.
    """

    programs: Path
    targets: Mapping[str, str]
    inventory: Path
    stubs: str

    def play(self, playbook: str) -> Answer:
        """Run a playbook on these hosts alone, and see that their modules ran under these versions."""
        run = play(
            "-i", str(self.inventory), playbook, "--limit", ",".join(self.targets),
            programs=self.programs, environment={"ANSIBLE_LIBRARY": self.stubs} if self.stubs else None,
        )  # fmt: skip
        assert run.code == 0, run.said
        for host, version in self.targets.items():
            assert self._version_on(host).startswith(f"{version}."), host
        return run

    def _version_on(self, host: str) -> str:
        seen = subprocess.run(
            [
                self.programs / "ansible", "-i", INVENTORY, "-i", self.inventory, host, "-m", "ansible.builtin.setup",
                "-a", "filter=ansible_python_version",
            ],
            cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        version = re.search(r'ansible_python_version"?: "?([0-9.]+)', seen.stdout)
        assert version is not None, seen.stdout
        return version[1]


@contextlib.contextmanager
def old_pythons(fleet: Fleet, programs: Path, targets: Mapping[str, str], folder: Path) -> Iterator[OldPythons]:
    """Give hosts their interpreters, and take them away again; skips where this machine lacks one."""
    interpreters = {host: _interpreter(version) for host, version in targets.items()}
    managers = {_MANAGERS[fleet.record.os_of(host)] for host, version in targets.items() if version == "2.7"}
    stubs = ":".join(str(Path(__file__).with_name("library") / manager) for manager in sorted(managers))
    hosts = {host: {"ansible_python_interpreter": str(path)} for host, path in interpreters.items()}
    inventory = folder / "interpreters.yml"
    inventory.write_text(json.dumps({"all": {"hosts": hosts}}))
    try:
        for host, interpreter in interpreters.items():
            _give(fleet, host, interpreter)
        if "node1" in targets:
            # Unpacking is what a finished host would not do again.
            fleet.ssh("node1", "sh", "-c", "rm -rf /opt/filebeat/filebeat-*")
        yield OldPythons(programs, targets, inventory, stubs)
    finally:
        for host, interpreter in interpreters.items():
            fleet.ssh(host, "rm", "-rf", str(interpreter.parents[1]))
    fleet.wait_healthy()


def _changed_tasks(said: str) -> set[str]:
    """The tasks of a playbook's output that changed something, apart from those that unpack Filebeat again.

    Handlers are left out: they follow from these.
    """
    changed, task = set(), ""
    for line in said.splitlines():
        if match := re.match(r"(TASK|RUNNING HANDLER) \[(.*)\]", line):
            task = match[2] if match[1] == "TASK" else ""
        elif task and line.startswith("changed: [") and "filebeat" not in task:
            changed.add(task)
    return changed


def _last_changes(fleet: Fleet) -> dict[str, int]:
    show = ("systemctl", "show", "--property=StateChangeTimestampMonotonic", "--value")
    return {unit: int(fleet.ssh(host, *show, unit)) for host, unit, _ in WRITTEN}


@pytest.mark.long
def test_what_an_interrupted_run_wrote_is_applied_under_old_pythons(healthy: Fleet, tmp_path: Path) -> None:
    # The preflight refuses consumers on EL 7, so nothing of theirs runs under 2.7.
    targets = {"node1": "2.7", "node2": "3.6", "db1": "3.6", "app1": "3.6"}
    with old_pythons(healthy, programs_of("legacy"), targets, tmp_path) as hosts:
        before = _last_changes(healthy)
        # What an interrupted run leaves: the right content, newer than the process.
        for host, _, file in WRITTEN:
            healthy.ssh(host, "touch", file)
        run = hosts.play("site.yml")
        changed = _changed_tasks(run.out)
        assert {task for task in changed if _FINDS_STALE not in task} == set(), run.out
        for host in ("node2", "app1"):
            assert run.changes[host] >= sum(of == host for of, *_ in WRITTEN), run.out
        after = _last_changes(healthy)
        assert [unit for unit in before if after[unit] <= before[unit]] == [], run.out


def test_role_mysql_runs_under_python_2_7(healthy: Fleet, tmp_path: Path) -> None:
    with old_pythons(healthy, programs_of("legacy"), {"db1": "2.7"}, tmp_path) as hosts:
        assert _changed_tasks(hosts.play("playbooks/mysql.yml").out) == set()


# What runs under 2.7 and 3.6 as under 3.11 has nothing that 3.9 lacks.
@pytest.mark.long
@pytest.mark.parametrize("control", ["this", "newest"])
def test_the_roles_run_under_python_3_9(healthy: Fleet, tmp_path: Path, control: str) -> None:
    programs = BIN if control == "this" else programs_of(control)
    targets = dict.fromkeys(("node1", "db1", "app1"), "3.9")
    with old_pythons(healthy, programs, targets, tmp_path) as hosts:
        assert _changed_tasks(hosts.play("site.yml").out) == set()
