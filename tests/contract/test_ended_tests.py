"""A pytest that is ended, with SIGTERM or with SIGKILL, leaves no server behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.waiting import wait_for

#: What ends at once does not take so long.
_HANGS_S = 60
#: A test with a server, which hangs: in its own time, or while its fixture still waits for the server.
_TESTS = """
import time
from pathlib import Path

import pytest
from rig.server import ServerProcess

FOLDER = Path({folder!r})

@pytest.fixture(scope="session")
def server(tmp_path_factory):
    process = ServerProcess(tmp_path_factory.mktemp("server"), "server")
    process.launch(["sleep", "600"])
    (FOLDER / "new").write_text(str(process.pid))
    (FOLDER / "new").rename(FOLDER / "pid")
    if {in_setup}:
        time.sleep(600)
    yield process
    process.end(9)
    (FOLDER / "unwound").touch()

def test_that_hangs(server):
    (FOLDER / "hangs").touch()
    time.sleep(600)
"""


def begin(project: Path, folder: Path, *options: str, in_setup: bool = False) -> subprocess.Popen[str]:
    """Start a pytest of its own with the hooks of these tests."""
    file = folder / "test_hanging.py"
    file.write_text(_TESTS.format(folder=str(folder), in_setup=in_setup))
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider", *options, str(file)]
    return subprocess.Popen(
        [*command, "-c", project / "pyproject.toml", "--rootdir", folder, "--basetemp", folder / "base"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (project, project / "tests", project / "src")))},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture
def ending(tmp_path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    """End what a test has started, and the server of a child that has left it."""
    begun: list[subprocess.Popen[str]] = []
    yield begun
    for process in begun:
        process.kill()
        process.communicate()
    if (tmp_path / "pid").exists() and running(tmp_path):
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def running(folder: Path) -> bool:
    """Whether the child's server runs."""
    try:
        state = Path(f"/proc/{(folder / 'pid').read_text()}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.parametrize("options", [("-n", "0"), ("-n", "1")], ids=["alone", "spread"])
def test_sigterm_unwinds_the_fixtures(
    project: Path, tmp_path: Path, ending: list[subprocess.Popen[str]], options: tuple[str, ...]
) -> None:
    process = begin(project, tmp_path, *options)
    ending.append(process)
    wait_for("the test that hangs", (tmp_path / "hangs").exists, seconds=_HANGS_S)
    assert running(tmp_path)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=_HANGS_S)
    assert process.returncode == pytest.ExitCode.INTERRUPTED, said
    assert (tmp_path / "unwound").exists(), said
    assert not running(tmp_path)


@pytest.mark.parametrize(
    ("number", "in_setup"), [(signal.SIGTERM, True), (signal.SIGKILL, True), (signal.SIGKILL, False)]
)
def test_a_server_ends_with_a_pytest_that_cannot_unwind(
    project: Path, tmp_path: Path, ending: list[subprocess.Popen[str]], number: int, in_setup: bool
) -> None:
    process = begin(project, tmp_path, "-n", "0", in_setup=in_setup)
    ending.append(process)
    wait_for("its server", (tmp_path / "pid").exists, seconds=_HANGS_S)
    assert running(tmp_path)
    process.send_signal(number)
    process.communicate(timeout=_HANGS_S)
    wait_for("the server's end", lambda: not running(tmp_path), seconds=_HANGS_S)
    assert not (tmp_path / "unwound").exists()
