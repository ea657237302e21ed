"""The roles under the targets' old Pythons, each with an ansible-core that serves it.

The hosts get an interpreter that is really that old, at the path where it lies on this machine, and ``site.yml`` runs
with it: each module with the roles' own arguments.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from rig.ansible_cores import programs_of
from tests.lab.conftest import BIN, INVENTORY, NODES, ROOT, Fleet, play

#: What an interpreter does not need to run a module.
_LEFT_OUT = ("*/test", "*/tests", "*/__pycache__", "*.a", "*.pyc", "*/share", "*/include", "*/site-packages/*")
#: Package managers, and beside this file the folder of the module that stands for each under Python 2.7.
_MANAGERS = {"debian12": "apt", "el9": "dnf"}


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


def _inventory(folder: Path, interpreters: Mapping[str, Path]) -> Path:
    """Return an inventory beside the lab's own that names each host's interpreter."""
    hosts = {host: {"ansible_python_interpreter": str(path)} for host, path in interpreters.items()}
    file = folder / "interpreters.yml"
    file.write_text(json.dumps({"all": {"hosts": hosts}}))
    return file


def _stubs(fleet: Fleet, targets: Mapping[str, str]) -> str:
    """Return the folders of the modules that stand for the package managers of the hosts under Python 2.7."""
    managers = {_MANAGERS[fleet.record.os_of(host)] for host, version in targets.items() if version == "2.7"}
    return ":".join(str(Path(__file__).with_name("library") / manager) for manager in sorted(managers))


_ONE_OF_EACH_ROLE = ("node1", "db1", "app1")


# What runs under 2.7 and 3.6 as under 3.11 has nothing that 3.9 lacks. The preflight refuses consumers on EL 7, so
# nothing of theirs runs under 2.7.
@pytest.mark.parametrize(
    ("control", "playbook", "targets"),
    [
        ("legacy", "site.yml", {"node1": "2.7", "node2": "3.6", "db1": "3.6", "app1": "3.6"}),
        ("legacy", "playbooks/mysql.yml", {"db1": "2.7"}),
        pytest.param("this", "site.yml", dict.fromkeys(_ONE_OF_EACH_ROLE, "3.9"), marks=pytest.mark.long),
        pytest.param("newest", "site.yml", dict.fromkeys(_ONE_OF_EACH_ROLE, "3.9"), marks=pytest.mark.long),
    ],
)
def test_the_roles_run_under_an_old_python(
    healthy: Fleet, tmp_path: Path, control: str, playbook: str, targets: Mapping[str, str]
) -> None:
    programs = BIN if control == "this" else programs_of(control)
    interpreters = {host: _interpreter(version) for host, version in targets.items()}
    for host, interpreter in interpreters.items():
        _give(healthy, host, interpreter)
    named = _inventory(tmp_path, interpreters)
    stubs = _stubs(healthy, targets)
    # Unpacking is what a finished host would not do again.
    for host in set(NODES) & set(targets):
        healthy.ssh(host, "sh", "-c", "rm -rf /opt/filebeat/filebeat-*")
    try:
        run = play(
            "-i", str(named), playbook, "--limit", ",".join(targets),
            programs=programs, environment={"ANSIBLE_LIBRARY": stubs} if stubs else None,
        )  # fmt: skip
        assert run.code == 0, run.said
        assert {task for task in _changed_tasks(run.out) if "filebeat" not in task} == set(), run.out
        for host, version in targets.items():
            assert _python_of(host, programs, named).startswith(f"{version}."), host
    finally:
        for host, interpreter in interpreters.items():
            healthy.ssh(host, "rm", "-rf", str(interpreter.parents[1]))
    healthy.wait_healthy()


def _python_of(host: str, programs: Path, named: Path) -> str:
    """The version of the Python under which modules run on a host."""
    seen = subprocess.run(
        [
            programs / "ansible", "-i", INVENTORY, "-i", named, host, "-m", "ansible.builtin.setup",
            "-a", "filter=ansible_python_version",
        ],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    version = re.search(r'ansible_python_version"?: "?([0-9.]+)', seen.stdout)
    assert version is not None, seen.stdout
    return version[1]


def _changed_tasks(said: str) -> set[str]:
    """The tasks of a playbook's output that changed something."""
    changed, task = set(), ""
    for line in said.splitlines():
        if match := re.match(r"(?:TASK|RUNNING HANDLER) \[(.*)\]", line):
            task = match[1]
        elif line.startswith("changed: ["):
            changed.add(task)
    return changed
