"""The script that health runs on a host, run by a shell: what systemd, df and curl print is what is read of it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from obsctl.checks.health.collect import _script, read_host
from obsctl.checks.health.snapshot import Disk, HostProbe
from obsctl.fleet.model import Fleet, Host
from rig.waiting import wait_for

HOST = Host(name="node1", address="198.18.0.11", groups=("lb", "filebeat"))
_SYSTEMCTL = """#!/bin/sh
case "$*" in
  "is-active keepalived") echo failed ;;
  is-active*) echo active ;;
  "show -p MainPID keepalived") echo MainPID=0 ;;
  "show -p MainPID "*) echo "MainPID=$STOPPED_PID" ;;
  "show -p StateChangeTimestamp keepalived") echo "StateChangeTimestamp=Fri 2026-01-02 14:03:12 $TZ" ;;
  "show -p StateChangeTimestamp "*) echo StateChangeTimestamp= ;;
esac
"""
_DF = """#!/bin/sh
echo 'Filesystem 1024-blocks Used Available Capacity Mounted on'
echo 'overlay 1000 100 290 26% /'
echo 'tmpfs 10 0 10 0% /run/x'
"""
_CURL = "#!/bin/sh\nexit $CURL_STATUS\n"


@pytest.fixture
def stopped() -> Iterator[int]:
    process = subprocess.Popen(["sleep", "600"])
    os.kill(process.pid, signal.SIGSTOP)
    stat = Path(f"/proc/{process.pid}/stat")
    wait_for("the process to stop", lambda: stat.read_text().rpartition(") ")[2].startswith("T"))
    yield process.pid
    process.kill()
    process.wait()


def _probe(path: Path, pid: int, curl_status: int) -> HostProbe:
    for name, text in (("systemctl", _SYSTEMCTL), ("df", _DF), ("curl", _CURL)):
        (path / name).write_text(text)
        (path / name).chmod(0o755)
    environment = {
        "PATH": f"{path}:{os.environ['PATH']}", "STOPPED_PID": str(pid), "CURL_STATUS": str(curl_status), "LANG": "xx",
    }  # fmt: skip
    done = subprocess.run(
        ["sh", "-c", _script(Fleet(), HOST)], env=environment, capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stderr == ""
    return read_host("node1", done.stdout)


def test_what_the_programs_print_is_what_is_read(tmp_path: Path, stopped: int) -> None:
    probe = _probe(tmp_path, stopped, 28)
    assert probe.units == {"nginx": "active", "keepalived": "failed", "filebeat": "active"}
    assert probe.processes == {"nginx": "T", "keepalived": "", "filebeat": "T"}
    assert probe.since == {"keepalived": "2026-01-02T14:03:12+00:00"}
    assert probe.disks == (Disk(mount="/", free_bytes=290 * 1024, total_bytes=1000 * 1024),)
    assert probe.silent == {"filebeat": 5066}


@pytest.mark.parametrize("status", [0, 7, 52])
def test_a_page_that_answers_or_is_not_there_is_not_silent(tmp_path: Path, stopped: int, status: int) -> None:
    assert _probe(tmp_path, stopped, status).silent == {}
