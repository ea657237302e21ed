"""A command that is ended by a signal while hosts do not answer: what it says, and that it leaves nothing."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from tests.contract.cli.test_environment import wait_until_idle

from obsctl.fleet.model import Fleet, Host, Ssh
from rig.waiting import wait_for

_MAIN = "from obsctl.cli.main import main; main()"
#: For a process that shall end at once; who waits so long hangs.
_HANGS_S = 60
#: A stand-in for ssh that never answers, and has a child as a client with a jump host has.
_SILENT_SSH = """#!/bin/sh
sleep 600 &
echo "$$ $!" > {folder}/ssh.$$.new && mv {folder}/ssh.$$.new {folder}/ssh.$$
wait
"""


def _heeds_signals() -> None:
    # A shell's background job ignores SIGINT, and what nohup started SIGHUP.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def alive(pid: int) -> bool:
    """Whether a process runs: an orphan that has ended stays a zombie until init collects it."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start obsctl with a folder of its own for temporary files; it is ended with the test."""
    (tmp_path / "tmp").mkdir()
    begun: list[subprocess.Popen[str]] = []

    def begin(*argv: str, program: str = _MAIN) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", program, *argv],
            env=os.environ | {"TMPDIR": str(tmp_path / "tmp"), "XDG_CACHE_HOME": str(tmp_path / "cache")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_heeds_signals,  # noqa: PLW1509
        )
        begun.append(process)
        return process

    yield begin
    for process in begun:
        process.kill()
        process.communicate()


@pytest.fixture
def fleet(tmp_path: Path) -> str:
    """Two hosts whose ssh hangs."""
    ssh = tmp_path / "silent-ssh"
    ssh.write_text(_SILENT_SSH.format(folder=tmp_path))
    ssh.chmod(0o755)
    hosts = tuple(
        Host(name=name, address="192.0.2.1", groups=("consumer",), ssh=Ssh(executable=str(ssh)))
        for name in ("app1", "app2")
    )
    path = tmp_path / "fleet.json"
    path.write_bytes(msgspec.json.encode(Fleet(hosts=hosts)))
    return str(path)


def clients(folder: Path, count: int) -> list[int]:
    """Return the processes of so many hanging clients, and of their children, when all have begun."""
    wait_for("the clients of ssh", lambda: len(list(folder.glob("ssh.*[0-9]"))) >= count, seconds=_HANGS_S)
    return [int(pid) for file in folder.glob("ssh.*[0-9]") for pid in file.read_text().split()]


@pytest.mark.parametrize(
    ("number", "options", "code", "out", "err"),
    [
        (
            signal.SIGTERM, ["-o", "nagios"], 3,
            r"HEALTH UNKNOWN - ended by SIGTERM after \d+ s; allow more than this takes by hand: time obsctl -i \S+ .*",
            "ended by SIGTERM\n",
        ),
        (signal.SIGTERM, [], 143, "", "ended by SIGTERM\n"),
        (signal.SIGHUP, [], 129, "", "ended by SIGHUP\n"),
        (signal.SIGINT, ["-o", "nagios"], 3, "OBSCTL UNKNOWN - interrupted", "interrupted\n"),
        (signal.SIGINT, [], 130, "", "interrupted\n"),
    ],
)  # fmt: skip
def test_a_check_that_waits_for_hosts_ends_with_all_that_it_started(  # noqa: PLR0917
    start: Callable[..., subprocess.Popen[str]], fleet: str, tmp_path: Path,
    number: int, options: list[str], code: int, out: str, err: str,
) -> None:  # fmt: skip
    process = start("-i", fleet, *options, "health")
    pids = clients(tmp_path, 2)
    assert all(map(alive, pids))
    process.send_signal(number)
    said, complaint = process.communicate(timeout=_HANGS_S)
    assert (process.returncode, complaint) == (code, err)
    assert re.fullmatch(out + "\n" * bool(out), said)
    wait_for("the end of the clients", lambda: not any(map(alive, pids)), seconds=_HANGS_S)
    assert list((tmp_path / "tmp").iterdir()) == []


def test_ansible_is_ended_and_its_folder_is_removed(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    inventory = tmp_path / "hosts.sh"
    inventory.write_text(
        f'#!/bin/sh\necho "$$ $PPID" > {tmp_path}/new && mv {tmp_path}/new {tmp_path}/asked\nexec sleep 600\n'
    )
    inventory.chmod(0o755)
    process = start("-i", str(inventory), "kafka", "status", "-o", "nagios")
    try:
        wait_for("the question of ansible-inventory", (tmp_path / "asked").exists, seconds=_HANGS_S)
        assert list((tmp_path / "tmp").glob("obsctl-*"))
        script, ansible = map(int, (tmp_path / "asked").read_text().split())
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=_HANGS_S)
        assert (process.returncode, said.partition(" after ")[0]) == (3, "KAFKA_STATUS UNKNOWN - ended by SIGTERM")
        wait_for("the end of ansible-inventory", lambda: not alive(ansible), seconds=_HANGS_S)
        assert list((tmp_path / "tmp").glob("obsctl-*")) == []
    finally:
        os.kill(script, signal.SIGKILL)


def test_what_restores_is_finished_whoever_asks_again(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    """A drill that is ended restores what it broke, which takes some seconds; further signals do not stop that."""
    broken, restoring, restored = tmp_path / "broken", tmp_path / "restoring", tmp_path / "restored"
    program = f"""
import time
import typer
from pathlib import Path
from obsctl.cli import commands, program
from obsctl.cli.main import main

app = commands.alone()

@app.command(cls=commands.Command)
def drill():
    try:
        Path({str(broken)!r}).touch()
        time.sleep(600)
    finally:
        Path({str(restoring)!r}).touch()
        time.sleep(1)
        Path({str(restored)!r}).touch()

found = typer.main.get_command(app)
program.ROOT.resolve_command = lambda _ctx, args: (args[0], found, args[1:])
main()
"""
    process = start("drill", program=program)
    wait_for("the drill", broken.exists, seconds=_HANGS_S)
    process.send_signal(signal.SIGTERM)
    wait_for("its end", restoring.exists, seconds=_HANGS_S)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=_HANGS_S)
    assert (restored.exists(), process.returncode, *said) == (True, 143, "", "ended by SIGTERM\n")


def test_who_wants_sigterm_ignored_has_it_ignored(
    start: Callable[..., subprocess.Popen[str]], fleet: str, tmp_path: Path
) -> None:
    ignoring = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {_MAIN}"
    process = start("-i", fleet, "kafka", "status", "--watch", "600", "-o", "json", program=ignoring)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=_HANGS_S)
    assert process.returncode == 130


def test_a_verdict_that_is_printed_stays_while_the_process_ends(
    start: Callable[..., subprocess.Popen[str]], fleet: str
) -> None:
    """The process waits at its end for a thread; what it has said is still the truth."""
    waits = f"import threading, time; threading.Timer(0, time.sleep, (600,)).start(); {_MAIN}"
    process = start("-i", fleet, "kafka", "status", "-o", "nagios", program=waits)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("KAFKA_STATUS CRITICAL - ")
    wait_until_idle(process.pid)
    process.send_signal(signal.SIGTERM)
    said, complaint = process.communicate(timeout=_HANGS_S)
    assert (process.returncode, said, complaint) == (2, "", "")
