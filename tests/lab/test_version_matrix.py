"""The roles under the targets' old Pythons, each with an ansible-core that serves it.

The hosts get an interpreter that is really that old, at the path where it lies on this machine, and ``site.yml`` runs
with it: each module with the roles' own arguments.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from rig.ansible_cores import programs_of
from tests.lab.conftest import BIN, NODES, ROOT, Fleet, long_drill

#: One host of each kind; the others would run the same modules.
HOSTS = ("node1", "db1", "app1")
#: What an interpreter does not need to run a module.
_LEFT_OUT = ("*/test", "*/tests", "*/__pycache__", "*.a", "*.pyc", "*/share", "*/include", "*/site-packages/*")


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


#: EL's dnf module goes over to the system's Python, which is 3.6 or newer, and cannot do so from 2.7.
_without_dnf = pytest.mark.skipif(
    os.environ.get("OBSCRAFT_LAB_OS") == "el9", reason="no host with dnf runs its modules under Python 2.7"
)


# What runs under 2.7 and 3.6 as under 3.11 has nothing that 3.9 lacks.
@pytest.mark.parametrize(
    ("control", "target"),
    [
        pytest.param("legacy", "2.7", marks=_without_dnf),
        ("legacy", "3.6"),
        pytest.param("this", "3.9", marks=long_drill),
        pytest.param("newest", "3.9", marks=long_drill),
    ],
)
def test_the_roles_run_under_an_old_python(healthy: Fleet, control: str, target: str) -> None:
    programs, interpreter = BIN if control == "this" else programs_of(control), _interpreter(target)
    # All of them: a run with --limit asks each balancer who has the VIP.
    for host in (*NODES, "db1", "app1"):
        _give(healthy, host, interpreter)
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1"}
    if target == "2.7":
        environment["ANSIBLE_LIBRARY"] = str(Path(__file__).with_name("library"))
    # Unpacking is what a finished host would not do again.
    healthy.ssh("node1", "sh", "-c", "rm -rf /opt/filebeat/filebeat-*")
    try:
        done = subprocess.run(
            [
                programs / "ansible-playbook", "site.yml", "-i", "inventories/lab", "--limit", ",".join(HOSTS),
                "-e", f"ansible_python_interpreter={interpreter}",
            ],
            cwd=ROOT, env=environment, capture_output=True, text=True, timeout=550, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert {task for task in _changed_tasks(done.stdout) if "filebeat" not in task} == set(), done.stdout
        seen = subprocess.run(
            [
                programs / "ansible", "-i", "inventories/lab", "node1", "-m", "ansible.builtin.setup",
                "-a", "filter=ansible_python_version", "-e", f"ansible_python_interpreter={interpreter}",
            ],
            cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        assert re.search(rf'ansible_python_version"?: "?{re.escape(target)}\.', seen.stdout), seen.stdout
    finally:
        for host in (*NODES, "db1", "app1"):
            healthy.ssh(host, "rm", "-rf", str(interpreter.parents[1]))
    healthy.wait_healthy()


def _changed_tasks(said: str) -> set[str]:
    """The tasks of a playbook's output that changed something."""
    changed, task = set(), ""
    for line in said.splitlines():
        if match := re.match(r"(?:TASK|RUNNING HANDLER) \[(.*)\]", line):
            task = match[1]
        elif line.startswith("changed: ["):
            changed.add(task)
    return changed
