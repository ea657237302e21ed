"""Waiting for something to become true."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

#: What is cut after a second or two takes less on the busiest machine, and what is not cut takes for ever; seconds.
HANGS_S = 30.0

#: How many times longer than named a test waits before it fails: `./test.sh` sets it where much runs side by side.
_PATIENCE = float(os.environ.get("OBSCRAFT_TEST_PATIENCE", "1"))


def wait_for(what: str | Callable[[], str], probe: Callable[[], T], *, seconds: float = 60.0, every: float = 0.05) -> T:
    """Return the first truthy value of ``probe``.

    Args:
        what: what is waited for; or a function that says what is there instead.
        seconds: after which there is none, on a machine with nothing else to do.
        every: seconds between two looks.

    Raises:
        AssertionError: there is none in time.
    """
    seconds *= _PATIENCE
    deadline = time.monotonic() + seconds
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > deadline:
            said = what if isinstance(what, str) else what()
            raise AssertionError(f"{said}: not within {seconds:g} s, last seen: {value!r}")
        time.sleep(every)


def wait_until_idle(pid: int) -> None:
    """Wait until a process uses no CPU time between two looks: it has printed, tidied up, and waits."""

    def used() -> list[str]:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]

    def idle() -> bool:
        before = used()
        time.sleep(0.2)
        return used() == before

    wait_for("the command waits", idle)
