"""Lines written whole and counted; the writer runs here instead of on a host."""

from __future__ import annotations

import gzip
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from obsctl.core.errors import ExitCode, ObsctlError, UsageError
from obsctl.lab import replay

LINES = [f"{number} some line \xe9".encode("latin-1") for number in range(1000)]


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "log/access.log"


def command(target: Path) -> list[str]:
    _python, *rest = replay.writer_command()[:-1]
    return [sys.executable, *rest, str(target)]


def silent(_text: str) -> None:
    pass


@pytest.mark.parametrize("packed", [False, True])
def test_lines_arrive_as_they_are_with_the_last_newline_added(tmp_path: Path, target: Path, packed: bool) -> None:
    source = tmp_path / "source"
    raw = b"\n".join(LINES)
    source.write_bytes(gzip.compress(raw) if packed else raw)
    assert replay.replay(source, command(target), None, silent) == len(LINES)
    assert target.read_bytes() == raw + b"\n"


def test_an_empty_file_writes_nothing(tmp_path: Path, target: Path) -> None:
    (tmp_path / "source").touch()
    assert replay.replay(tmp_path / "source", command(target), 10, silent) == 0
    assert not target.exists()


def test_a_torn_line_of_before_is_ended_first(tmp_path: Path, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(b"whole\ntorn")
    (tmp_path / "source").write_bytes(b"new\n")
    replay.replay(tmp_path / "source", command(target), None, silent)
    assert target.read_bytes() == b"whole\ntorn\nnew\n"


def test_the_pace_is_kept(tmp_path: Path, target: Path) -> None:
    (tmp_path / "source").write_bytes(b"x\n" * 100)
    began = time.monotonic()
    replay.replay(tmp_path / "source", command(target), 200, silent)
    # The lower bound is the promise; the upper one leaves room for a busy machine.
    assert 0.45 < time.monotonic() - began < 5


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_leaves_whole_lines_and_tells_how_many(tmp_path: Path, target: Path, number: int) -> None:
    (tmp_path / "source").write_bytes(b"\n".join(LINES))
    said: list[str] = []
    # As the entry point has it: both signals end a command.
    before = signal.signal(number, signal.default_int_handler)
    timer = threading.Timer(0.5, os.kill, (os.getpid(), number))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            replay.replay(tmp_path / "source", command(target), 200, said.append)
    finally:
        signal.signal(number, before)
    written = target.read_bytes()
    assert written.endswith(b"\n")
    assert 0 < written.count(b"\n") < len(LINES)
    newlines = written.count(b"\n")
    assert said[-1].startswith(f"{newlines} of 1,000 lines written")


def test_a_broken_connection_says_what_is_sure(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"\n".join(LINES))
    with pytest.raises(
        ObsctlError, match="0 lines were written, and it is unknown whether the next 1,000 were"
    ) as caught:
        replay.replay(tmp_path / "source", ["false"], None, silent)
    assert caught.value.exit_code is ExitCode.UNKNOWN


def test_a_missing_file_is_a_usage_error(tmp_path: Path, target: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        replay.replay(tmp_path / "absent", command(target), None, silent)


def test_a_damaged_archive_is_refused_before_anything_is_written(tmp_path: Path, target: Path) -> None:
    (tmp_path / "source").write_bytes(gzip.compress(b"\n".join(LINES))[:-20])
    with pytest.raises(UsageError, match="ended before"):
        replay.replay(tmp_path / "source", command(target), None, silent)
    assert not target.exists()
