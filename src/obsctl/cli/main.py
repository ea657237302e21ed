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
#: Of a command that was ended by a signal, before the signal's number is added.
_SIGNALLED = 128
#: Of a monitoring plugin, which knows no other code for it.
_UNKNOWN = 3
#: Objects that a command makes before the garbage collector looks at them. Most commands end earlier: they import some
#: hundred modules, whose objects stay, and Python's default of 700 would look at those again and again.
_COLLECT_AFTER = 100_000


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code. SIGTERM and SIGHUP end it as Ctrl-C does, with other codes."""
    words = sys.argv[1:] if argv is None else argv
    gc.set_threshold(_COLLECT_AFTER)
    ended = _Ended()
    try:
        ended.heed()
        ended.code = code = int(_carried_out(words))
    except KeyboardInterrupt as end:
        code = _interrupted(words) if ended.by is None else _terminated(words, str(end), ended, ended.by)
        # At once: leaving in good order would wait for every thread that still waits for an answer.
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):  # the reader may have gone, and the code says it all
                stream.flush()
        if "obsctl.core.children" in sys.modules:
            sys.modules["obsctl.core.children"].end_all()
        os._exit(code)
    # Python looks for garbage once more at its end, although the process's memory goes back as a whole.
    gc.freeze()
    sys.exit(code)


def run(argv: Sequence[str] | None = None) -> ExitCode | int:
    """Run the command line and return the exit code; nothing escapes as a traceback."""
    words = sys.argv[1:] if argv is None else argv
    try:
        return _carried_out(words)
    except KeyboardInterrupt:
        return _interrupted(words)


class _Ended:
    """Makes SIGTERM and SIGHUP what Ctrl-C is: temporary files are removed, and a drill restores what it broke.

    Attributes:
        by: the signal that came; None as long as there was none.
        after_s: how long the command had run then, seconds.
        code: of a command that is through with its work, and needs no answer any more.
    """

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.by: signal.Signals | None = None
        self.after_s = 0.0
        self.code: int | None = None

    def heed(self) -> None:
        """Wait for them, but for one that is ignored already, as nohup has it."""
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, self._come)

    def _come(self, number: int, _frame: object) -> None:
        if self.code is not None:
            os._exit(self.code)
        # The first one alone: another one must not break off what restores and tidies up.
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
