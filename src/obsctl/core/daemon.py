"""The main program of all daemons: arguments, checking of the configuration, errors and exit codes."""

from __future__ import annotations

import argparse
import gc
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn, TypeVar

from obsctl import __version__
from obsctl.core import journal
from obsctl.core.errors import ExitCode, ObsctlError
from obsctl.core.secrets import redact

C = TypeVar("C")

_LEVELS = ("debug", "info", "warning", "error")
#: Number of new objects after which the garbage collector looks for reference cycles.
_COLLECT_AFTER = 50_000


def collect_rarely() -> None:
    """Have the garbage collector look for reference cycles after 50,000 new objects instead of 700.

    A batch of lines creates thousands of objects that live until it is done, and no cycles: examining them each time
    takes a twentieth of a process's time.
    """
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)


def run(
    name: str,
    description: str,
    *,
    load: Callable[[Path], C],
    check: Callable[[C], None],
    serve: Callable[[C], None],
    argv: Sequence[str] | None = None,
) -> NoReturn:
    """Run a daemon until it is stopped, and exit with its code, one of those that ``obsctl`` has.

    Args:
        name: such as ``consumer``; the program is ``obsctl-NAME``, its configuration ``/etc/obsctl/NAME.yml``.
        description: one sentence for --help.
        load: reads the configuration; raises ObsctlError if the program cannot start with it.
        check: what --check examines in addition, because the program can start without it; raises ObsctlError.
        serve: runs the daemon; returns when it is stopped.
        argv: the arguments, or those of the process.
    """
    parser = argparse.ArgumentParser(prog=f"obsctl-{name}", description=description)
    parser.add_argument("--config", type=Path, default=Path(f"/etc/obsctl/{name}.yml"), help="configuration (YAML)")
    parser.add_argument("--check", action="store_true", help="only check the configuration and its secrets")
    parser.add_argument("--log-level", choices=_LEVELS, default="info", help="least level that is logged")
    parser.add_argument("--version", action="version", version=__version__)
    arguments = parser.parse_args(argv)
    try:
        config = load(arguments.config)
        if arguments.check:
            check(config)
            sys.exit(int(ExitCode.OK))
    except ObsctlError as error:
        hint = f"hint: {redact(error.hint)}\n" if error.hint else ""
        sys.stderr.write(f"obsctl-{name}: {redact(str(error))}\n{hint}")
        sys.exit(int(error.exit_code))
    journal.start(logging.getLevelNamesMapping()[arguments.log_level.upper()])
    log = logging.getLogger(f"obsctl.{name}")
    try:
        serve(config)
    except ObsctlError as error:
        log.critical("the daemon cannot run", extra={"daemon": name, "error": str(error), "hint": error.hint})
        sys.exit(int(error.exit_code))
    except Exception:
        # The memory may be inconsistent now: exit, and systemd starts a new process.
        log.exception("the daemon failed and stops", extra={"daemon": name})
        sys.exit(int(ExitCode.BUG))
    sys.exit(int(ExitCode.OK))
