"""Hosts that speak another language, and a machine without UTF-8: what is asked over ssh is read all the same."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from obsctl.checks.health import collect as health
from obsctl.checks.vip import collect as vip
from obsctl.fleet.model import Database, Fleet, Host

HOST = Host(name="node1", address="127.0.0.1", groups=("mysql",))
FLEET = Fleet(hosts=(HOST,), database=Database(service="mysqld"))
CHINESE = "zh_CN.UTF-8"
_PROGRAM = """#!/bin/sh
case ${LC_ALL:-${LC_MESSAGES:-$LANG}} in C) echo "%s" ;; *) echo "%s" ;; esac
"""


@pytest.fixture
def chinese(tmp_path: Path) -> dict[str, str]:
    """An environment whose programs speak Chinese unless LC_ALL says otherwise."""
    for name, words, others in (
        ("systemctl", "active", "运行"),
        ("df", "Filesystem 1024-blocks Used Available Capacity Mounted\n/dev/x 9 1 8 12% /", "文件系统"),
        ("ip", "[]", "无"),
    ):
        program = tmp_path / name
        program.write_text(_PROGRAM % (words, others))
        program.chmod(0o755)
    return {"PATH": f"{tmp_path}:/usr/bin:/bin", "LANG": CHINESE}


def test_what_is_asked_is_answered_in_one_language(chinese: dict[str, str]) -> None:
    def ask(question: str) -> str:
        return subprocess.run(["sh", "-c", question], env=chinese, capture_output=True, text=True, check=True).stdout

    probe = health.read_host("node1", ask(health._script(FLEET, HOST)))
    assert probe.units == {"mysqld": "active"}
    assert [disk.free_bytes for disk in probe.disks] == [8 * 1024]
    assert ask(vip._QUESTION).splitlines() == ["[]", vip._MARK, "active"]


def test_the_real_programs_say_the_same_in_chinese(tmp_path: Path) -> None:
    sources = Path("/usr/share/i18n/locales/zh_CN")
    if shutil.which("localedef") is None or not sources.exists():
        pytest.skip("this machine cannot make the locale: apt-get install locales")
    subprocess.run(["localedef", "-i", "zh_CN", "-f", "UTF-8", tmp_path / CHINESE], check=True, timeout=60)
    chinese = {"PATH": os.environ["PATH"], "LOCPATH": str(tmp_path), "LANG": CHINESE}
    spoken = subprocess.run(["date", "+%A"], env=chinese, capture_output=True, text=True, check=True).stdout
    assert not spoken.isascii(), "the environment speaks Chinese"
    asked = health._script(Fleet(hosts=(HOST,)), HOST)
    output = subprocess.run(["sh", "-c", asked], env=chinese, capture_output=True, text=True, check=True).stdout
    mounts = {disk.mount for disk in health.read_host("node1", output).disks}
    assert "/" in mounts


def test_names_of_a_host_are_utf_8_whatever_this_machine_speaks(tmp_path: Path) -> None:
    client = tmp_path / "ssh"
    client.write_text("#!/bin/sh\necho 'disk 8 12% /数据'\n")
    client.chmod(0o755)
    script = (
        "from obsctl.checks.ask import ssh\n"
        "from obsctl.fleet.model import Host\n"
        "answer = ssh.run(Host(name='n', address='127.0.0.1'), 'true', deadline_s=5)\n"
        "print(ascii(answer.output))"
    )
    environment = {
        **os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "LC_ALL": "C",
        "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "'disk 8 12% /\\u6570\\u636e\\n'\n"
