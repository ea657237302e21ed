"""Hosts that show China's time and speak Chinese: times stay right, and no program's words are misread."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from obsctl.lab.spec import FLEET_LAB
from tests.lab.conftest import BIN, ROOT, VIP, Fleet, long_drill, wait_for

#: Three rounds of playbooks take their time on a busy machine.
pytestmark = [long_drill, pytest.mark.timeout(1200)]

LOCALE = "zh_CN.UTF-8"
COMPILED = "/usr/lib/locale/zh_CN.utf8"
CATALOGUE = "/usr/share/locale/zh_CN/LC_MESSAGES/coreutils.mo"
_SOURCES = Path("/usr/share/i18n/locales/zh_CN")
_FORGET = f"rm -rf {COMPILED} {CATALOGUE}; sed -i '/^LANG=/d' /etc/environment"
#: Larger than nginx takes: it answers 413 and writes an error line.
_BODY_BYTES = 9_000_000


def _apply(zone: str) -> str:
    """Set the hosts' time zone, and what follows it; return what was said."""
    playbooks = [f"playbooks/{name}.yml" for name in ("common", "nginx", "consumer")]
    done = subprocess.run(
        [BIN / "ansible-playbook", *playbooks, "-i", "inventories/lab", "-e", f"common_timezone={zone}"],
        cwd=ROOT, env={**os.environ, "ANSIBLE_NOCOLOR": "1"}, capture_output=True, text=True, timeout=550, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _teach(fleet: Fleet, host: str, folder: Path) -> None:
    """Give a host the language, the words of its core programs where this machine has them, and make it the login's."""
    with subprocess.Popen(["tar", "--create", "--directory", folder, "."], stdout=subprocess.PIPE) as packed:
        unpack = [BIN / "obsctl", "lab", "ssh", host, "--", "tar", "--extract", "--directory=/", "--no-overwrite-dir"]
        subprocess.run(unpack, cwd=ROOT, stdin=packed.stdout, check=True, timeout=60)
    fleet.ssh(host, "sh", "-c", f"echo LANG={LOCALE} >> /etc/environment")


@pytest.fixture
def site(healthy: Fleet, tmp_path: Path) -> Iterator[Fleet]:
    """The lab in Asia/Shanghai, in Chinese."""
    if shutil.which("localedef") is None or not _SOURCES.exists():
        pytest.skip("this machine cannot make the locale: apt-get install locales")
    compiled = tmp_path / COMPILED.lstrip("/")
    compiled.mkdir(parents=True)
    subprocess.run(["localedef", "-i", "zh_CN", "-f", "UTF-8", compiled], check=True, timeout=60)
    if Path(CATALOGUE).exists():
        copy = tmp_path / CATALOGUE.lstrip("/")
        copy.parent.mkdir(parents=True)
        shutil.copy(CATALOGUE, copy)
    try:
        for host in FLEET_LAB.names:
            _teach(healthy, host, tmp_path)
        _apply("Asia/Shanghai")
        yield healthy
    finally:
        for host in FLEET_LAB.names:
            healthy.ssh(host, "sh", "-c", _FORGET)
        _apply("Etc/UTC")
    healthy.wait_healthy()


def test_times_are_right_and_nothing_is_misread(site: Fleet) -> None:
    assert re.fullmatch(r"[^\x00-\x7f]+ \+0800\n", site.ssh("node1", "date", "+%A %z")), "it speaks Chinese"
    assert set(re.findall(r"changed=(\d+)", _apply("Asia/Shanghai"))) == {"0"}

    marker = f"数据-{time.time_ns()}"
    with socket.create_connection((VIP, 80), timeout=5) as raw:
        raw.sendall(f"POST /{marker} HTTP/1.0\r\nContent-Length: {_BODY_BYTES}\r\n\r\n".encode())
        assert b" 413 " in raw.recv(4096)
    for table, column in (("error_log", "request"), ("access_log", "uri")):
        late = f"SELECT TIMESTAMPDIFF(SECOND, ts, UTC_TIMESTAMP()) FROM {table} WHERE {column} LIKE '%{marker}%'"
        rows = wait_for(f"the row of {table}", lambda question=late: site.rows(question), seconds=60)
        assert -5 <= int(rows[0][0]) < 120, (table, rows)

    site.wait_healthy()
    assert site.obsctl("status", "-o", "json").code == 0
    vip = site.obsctl("verify", "vip", "-o", "json")
    assert vip.code == 0, vip.out
