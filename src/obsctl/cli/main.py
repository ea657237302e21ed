"""The entry point, which imports nothing before Ctrl-C has an answer: half of a command's first moments are imports."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from obsctl.core.errors import ExitCode

_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code."""
    code = int(run(argv))
    if code == _INTERRUPTED:
        # At once: leaving in good order would wait for every thread that still waits for an answer.
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def run(argv: Sequence[str] | None = None) -> ExitCode | int:
    """Run the command line and return the exit code; nothing escapes as a traceback."""
    try:
        from obsctl.cli.program import carry_out

        return carry_out(argv)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return _INTERRUPTED
