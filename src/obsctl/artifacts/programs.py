"""Runs the package managers' own clients: shows progress while they work, and their error output if they fail."""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from obsctl.artifacts.errors import BuildError

Notify = Callable[[str], None]

#: Time between two progress notes of a long step, seconds.
_HEARTBEAT_S = 10
_LINES_KEPT = 60
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def run(
    argv: Sequence[str],
    *,
    what: str,
    notify: Notify,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    fetched: str | None = None,
    attempts: int = 1,
) -> str:
    """Run a program to its end and return what it wrote to standard output.

    Args:
        argv: the program and its arguments.
        what: the step, as people call it; appears in progress and errors.
        notify: receives a line every few seconds.
        cwd: where it runs.
        env: added to this process's environment.
        fetched: regular expression of output lines that report a downloaded file; these are counted.
        attempts: how often it is tried, for clients that fail at short network faults.

    Raises:
        BuildError: all attempts failed.
    """
    for attempt in range(1, attempts + 1):
        status, output, said = _once(argv, what=what, notify=notify, cwd=cwd, env=env, fetched=fetched)
        if status == 0:
            return output
        if attempt < attempts:
            notify(f"{what}: failed, trying once more")
            time.sleep(3)
    raise BuildError(f"{what} failed: {_reason(said) or f'exit {status}'}", said="\n".join(said))


def _once(
    argv: Sequence[str],
    *,
    what: str,
    notify: Notify,
    cwd: Path | None,
    env: Mapping[str, str] | None,
    fetched: str | None,
) -> tuple[int, str, list[str]]:
    out: list[str] = []
    err: deque[str] = deque(maxlen=_LINES_KEPT)
    arrived = 0

    def follow(stream: IO[str], keep: Callable[[str], None]) -> None:
        nonlocal arrived
        for line in stream:
            keep(line)
            if fetched and re.search(fetched, line):
                arrived += 1

    started = time.monotonic()
    process = subprocess.Popen(
        argv,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    assert process.stdout is not None and process.stderr is not None  # noqa: S101, PT018 - both are pipes
    readers = [
        threading.Thread(target=follow, args=(stream, keep), daemon=True)
        for stream, keep in ((process.stdout, out.append), (process.stderr, err.append))
    ]
    for reader in readers:
        reader.start()
    try:
        while True:
            try:
                process.wait(_HEARTBEAT_S)
                break
            except subprocess.TimeoutExpired:
                count = f", {arrived} files fetched" if arrived else ""
                notify(f"  {what}: {time.monotonic() - started:.0f} s{count}")
    except BaseException:
        process.terminate()
        process.wait()
        raise
    for reader in readers:
        reader.join()
    output = "".join(out)
    lines = [*output.splitlines()[-_LINES_KEPT:], *err]
    return process.returncode, output, [text for line in lines if (text := _COLOURS.sub("", line).strip())]


def _reason(said: Sequence[str]) -> str:
    """Return the lines that say why: those marked as errors, else the last ones."""
    marked = [line for line in said if re.match(r"\[?error", line, re.IGNORECASE)]
    return " | ".join(marked[:2] if marked else said[-3:])[:1000]
