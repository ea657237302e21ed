"""Servers that end with the tests, whatever ends those."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def with_us(command: Sequence[str | Path]) -> list[str]:
    """Return a command line whose process the kernel kills when the present thread ends (prctl(2), PR_SET_PDEATHSIG).

    So a server is to be started by the thread that runs the tests. Fixtures end their servers themselves; this is for a
    pytest that has no time for it (SIGKILL), and for one that is ended while a fixture still waits for its server.
    """
    return ["setpriv", "--pdeathsig", "KILL", *map(str, command)]
