"""The entry point. It handles Ctrl-C and SIGTERM before it imports anything else: imports take half of a command's
start."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from obsctl.core.errors import ExitCode

_INTERRUPTED = 130
#: Base of the exit code of a command that was ended by a signal; the signal's number is added.
_SIGNALLED = 128
#: Exit code of a monitoring plugin in that case: UNKNOWN.
_UNKNOWN = 3
#: Number of new objects after which the garbage collector runs. Most commands end earlier: they import some hundred
#: modules, whose objects stay, and with Python's default of 700 the collector would examine them repeatedly.
_COLLECT_AFTER = 100_000


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code. SIGTERM and SIGHUP end it as Ctrl-C does, with other exit codes."""
    words = sys.argv[1:] if argv is None else argv
    gc.set_threshold(_COLLECT_AFTER)
    ended = _Ended()
    try:
        ended.heed()
        ended.code = code = int(_carried_out(words))
    except KeyboardInterrupt as end:
        code = _interrupted(words) if ended.by is None else _terminated(words, str(end), ended, ended.by)
        # Exit at once: a normal exit would wait for every thread that is waiting for an answer.
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):  # the reader may have gone; the exit code is enough
                stream.flush()
        if "obsctl.core.children" in sys.modules:
            sys.modules["obsctl.core.children"].end_all()
        os._exit(code)
    # Python would collect garbage once more at exit, although all memory is freed anyway.
    gc.freeze()
    sys.exit(code)


def run(argv: Sequence[str] | None = None) -> ExitCode | int:
    """Run the command line and return the exit code; no exception leads to a traceback."""
    words = sys.argv[1:] if argv is None else argv
    try:
        return _carried_out(words)
    except KeyboardInterrupt:
        return _interrupted(words)


class _Ended:
    """Makes SIGTERM and SIGHUP act like Ctrl-C: temporary files are removed, and a drill restores what it broke.

    Attributes:
        by: the signal that came; None for none.
        after_s: how long the command had run then, seconds.
        code: the exit code, once the command has finished its work and needs no more answers.
    """

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.by: signal.Signals | None = None
        self.after_s = 0.0
        self.code: int | None = None

    def heed(self) -> None:
        """Install the handlers, except for a signal that is ignored already, as by nohup."""
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, self._come)

    def _come(self, number: int, _frame: object) -> None:
        if self.code is not None:
            os._exit(self.code)
        # Only the first signal: another one must not interrupt restoring and cleaning up.
        if self.by is None:
            self.by, self.after_s = signal.Signals(number), time.monotonic() - self._began
            raise KeyboardInterrupt


def _carried_out(words: Sequence[str]) -> ExitCode:
    from obsctl.cli.program import carry_out

    return carry_out(words)


def _interrupted(words: Sequence[str]) -> int:
    from obsctl.cli import plugin

    sys.stderr.write("interrupted\n")
    if not plugin.asked_for(words):
        return _INTERRUPTED
    with contextlib.suppress(Exception):
        sys.stdout.write("OBSCTL UNKNOWN - interrupted\n")
    return _UNKNOWN


def _terminated(words: Sequence[str], command: str, ended: _Ended, by: signal.Signals) -> int:
    import shlex

    from obsctl.cli import plugin

    sys.stderr.write(f"ended by {by.name}\n")
    if not plugin.asked_for(words):
        return _SIGNALLED + by
    by_hand = f"time obsctl {shlex.join(words)}"
    reason = f"ended by {by.name} after {ended.after_s:.0f} s; allow more than this takes by hand: {by_hand}"
    with contextlib.suppress(Exception):
        sys.stdout.write(plugin.line(command or "obsctl", reason) + "\n")
    return _UNKNOWN
