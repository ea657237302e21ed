"""Kernel settings: loaded when the kernel lacks them, also when the file was written by a run that broke off."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

_SYSCTL = """#!/bin/sh
case $1 in
-n) cat "$KERNEL" ;;
-p) sed -n 's/^[a-z].* = //p' "$2" >"$KERNEL"; echo load >>"$JOURNAL" ;;
esac
"""
_PLAYBOOK = """
- hosts: localhost
  gather_facts: false
  environment: {KERNEL: "{{ kernel }}", JOURNAL: "{{ journal }}", PATH: "{{ path }}"}
  tasks:
    - ansible.builtin.import_role: {name: common, tasks_from: host, rolespec_validate: false}
"""


def test_settings_are_loaded_once_and_also_after_an_interruption(tmp_path: Path):
    role = tmp_path / "roles/common"
    shutil.copytree(ROOT / "roles/common", role)
    for path in role.glob("*/*.yml"):
        path.write_text(path.read_text().replace("/etc/sysctl.d", str(tmp_path)))
    sysctl = tmp_path / "bin/sysctl"
    sysctl.parent.mkdir()
    sysctl.write_text(_SYSCTL)
    sysctl.chmod(0o755)
    kernel, journal, playbook = tmp_path / "kernel", tmp_path / "journal", tmp_path / "play.yml"
    kernel.write_text("65530\n60\n")
    playbook.write_text(_PLAYBOOK)
    variables = {
        "kernel": kernel,
        "journal": journal,
        "path": f"{sysctl.parent}:{os.environ['PATH']}",
        "ansible_python_interpreter": sys.executable,
    }
    command = [Path(sys.executable).parent / "ansible-playbook", "-i", "localhost,", "-c", "local", playbook]
    command += ["-e", json.dumps({name: str(value) for name, value in variables.items()} | {"common_time_sync": False})]

    def run() -> None:
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    run()
    assert kernel.read_text() == "262144\n1\n"
    run()
    assert journal.read_text() == "load\n", "a second run loads nothing"
    # The file is as it should be, the kernel is not: the run that wrote the file broke off before it was loaded.
    kernel.write_text("65530\n60\n")
    run()
    assert kernel.read_text() == "262144\n1\n"
