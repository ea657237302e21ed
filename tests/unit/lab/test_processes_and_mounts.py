"""Processes are found by what they were started with; groups are below the own one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from obsctl.lab import cgroups, mounts, processes


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", "print(flush=True); input()", tmp_path / "disk"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()  # only now does the kernel surely know its arguments
    yield process
    process.kill()
    process.wait()


def test_a_process_is_found_by_its_argument_until_it_ends(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    (found,) = processes.naming_below(tmp_path)
    assert found.pid == sleeper.pid
    assert found.alive()
    assert processes.of_program(Path(sys.executable).name, str(tmp_path / "disk")) == [found]
    assert not processes.of_module("obsctl.lab.keeper", str(tmp_path / "disk"))
    assert processes.wait_gone([found], 0.05) == [found]
    sleeper.kill()
    # Not waited for yet, so a zombie: that is gone.
    assert processes.wait_gone([found], 5) == []


def test_a_guests_groups_are_below_the_callers_own() -> None:
    own = {line.split(":", 2)[2].strip("/") for line in Path("/proc/self/cgroup").read_text().splitlines()}
    for directory in cgroups.for_machine("t-one"):
        assert directory.name == "lab-t-one"
        assert any(str(directory.parent).endswith(path) for path in own)


def test_the_kernels_own_mounts_are_seen_the_innermost_first() -> None:
    found = mounts.below(Path("/proc"))
    assert found
    assert found[-1] == Path("/proc") or Path("/proc") in found
    assert mounts.below(Path("/nothing/is/mounted/here")) == []
