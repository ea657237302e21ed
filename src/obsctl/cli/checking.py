"""How every check runs: collect a snapshot (or read one), judge it, print the report, return its exit code."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import typer

from obsctl.checks.check import Check
from obsctl.cli import muting
from obsctl.cli.codes import pattern, selected
from obsctl.cli.destination import refuse_unwritable
from obsctl.cli.output import publish
from obsctl.cli.reporting import Start
from obsctl.cli.settings import Output, Settings, Threshold, note, settings
from obsctl.core.decoding import Moment, UndecodableError, decode_json
from obsctl.core.errors import ConfigError, ExitCode, UsageError
from obsctl.core.report import Report, Status, worst
from obsctl.core.selection import Pattern, narrowed
from obsctl.fleet.model import Fleet

SNAPSHOT_SCHEMA = "obsctl/snapshot/v1"
#: Largest snapshot, bytes; a snapshot has a few hundred bytes for each partition.
_LARGEST_SNAPSHOT = 64 << 20
#: After this time a note says that the inventory is being read, seconds; Ansible takes one or two.
_SILENT_S = 5.0
#: Longest interval of a watch, seconds: longer than a day is a typing error, and sleep() does not accept infinity.
_LONGEST_WATCH_S = 86_400
_CLEAR_SCREEN = "\x1b[H\x1b[2J"
#: Height of a one-screen report, lines, for small screens.
_SCREEN_ROWS = 40


def run_check(
    ctx: typer.Context,
    check: Check[Any],
    *,
    also: Callable[[Report], None] | None = None,
) -> ExitCode:
    """Run the check once, or repeatedly with ``--watch``, and print each report.

    Args:
        also: gets each report before it is printed.

    Raises:
        UsageError: options of :func:`obsctl.cli.settings.checking` that exclude each other.
    """
    chosen = settings(ctx)
    if chosen.from_file is not None and (chosen.watch is not None or chosen.until is not None):
        raise UsageError("--from-file cannot be combined with --watch or --until: a saved snapshot does not change")
    if chosen.from_file is not None and chosen.save_snapshot is not None:
        raise UsageError("--from-file cannot be combined with --save-snapshot: that snapshot is saved already")
    if chosen.until is not None and chosen.watch is None:
        raise UsageError(
            "--until needs --watch: one check has only one verdict",
            hint=f"{check.typed} --watch 2 --until {chosen.until.value}",
        )
    if chosen.watch is not None and not 0 < chosen.watch <= _LONGEST_WATCH_S:
        raise UsageError(f"--watch needs a number of seconds above 0, at most {_LONGEST_WATCH_S}")
    if chosen.save_snapshot is not None:
        refuse_unwritable(chosen.save_snapshot, "the snapshot")
    patterns = Patterns(
        tuple(selected(text, check) for text in chosen.select), tuple(pattern(text) for text in chosen.ignore)
    )
    fleet, book = check.fleet, None
    if fleet is None and chosen.from_file is None:
        fleet = load_fleet(ctx)
        book = muting.book(ctx)
    redrawn = chosen.watch is not None and chosen.output in (Output.TABLE, Output.WIDE)
    while True:
        began = time.monotonic()
        report = _once(check, fleet, chosen, patterns, book)
        if chosen.from_file is not None:
            note(ctx, f"as of {report.checked_at}, from {chosen.from_file}")
        rows = _rows(one_screen=check.one_screen and not chosen.verbose, redrawn=redrawn)
        if also is not None:
            also(report)
        read = publish(ctx, report, check.layouts, before=_CLEAR_SCREEN if redrawn else "", rows=rows)
        if chosen.watch is None or report.status.value == chosen.until or not read:
            return _exit_code(report.status, chosen.fail_on)
        # If a check took longer than the interval, the next one follows at once.
        time.sleep(max(began + chosen.watch - time.monotonic(), 0))


def _rows(*, one_screen: bool, redrawn: bool) -> int | None:
    """Return the report's maximum of lines: when watching, the terminal's height, or the top would scroll away."""
    screen = _SCREEN_ROWS if one_screen else None
    if not redrawn or not sys.stdout.isatty():
        return screen
    # One line is needed for the cursor.
    height = max(shutil.get_terminal_size().lines - 1, 1)
    return min(height, screen) if screen is not None else height


def load_fleet(ctx: typer.Context) -> Fleet:
    """Read the fleet that the options name; notes on standard error if the lab was chosen automatically."""
    from obsctl.fleet import load as loading

    source = loading.find(settings(ctx).inventory)
    if source.path.name == "lab" and source.reason not in ("--inventory", "OBSCTL_INVENTORY"):
        note(ctx, f"using {source.path} ({source.reason}); --inventory chooses another")
    slow = threading.Timer(_SILENT_S, note, (ctx, f"Ansible is still reading the inventory {source.path} ..."))
    slow.daemon = True
    slow.start()
    try:
        return loading.load(source)
    finally:
        slow.cancel()


class Patterns(NamedTuple):
    """Which findings decide the verdict, by the command line's options."""

    select: tuple[Pattern, ...] = ()
    ignore: tuple[Pattern, ...] = ()


#: All of them.
EVERYTHING = Patterns()


def _exit_code(status: Status, fail_on: Threshold) -> ExitCode:
    """Return the verdict's exit code, or that of ok if the person does not want to fail on this verdict."""
    bad_enough = worst([status, Status(fail_on.value)]) is status
    return status.exit_code if bad_enough else ExitCode.OK


def _once(
    check: Check[Any],
    fleet: Fleet | None,
    chosen: Settings,
    patterns: Patterns,
    book: muting.Book | None,
) -> Report:
    start = Start()
    if chosen.from_file is not None:
        return _of_saved(check, chosen.from_file, start, patterns)
    assert fleet is not None  # noqa: S101 - run_check has one, but for a saved snapshot
    snapshot = check.collect(fleet)
    if chosen.save_snapshot is not None:
        _write(check, fleet, snapshot, chosen.save_snapshot, start.at)
    return report_of(check, fleet, snapshot, start, start.at, patterns=patterns, book=book)


def _of_saved(check: Check[Any], path: Path, start: Start, patterns: Patterns) -> Report:
    fleet, snapshot, checked_at = read_saved(check, path)
    try:
        return report_of(check, fleet, snapshot, start, checked_at, patterns=patterns)
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        # The types are valid but the numbers impossible: -3 answers, a partition without replicas.
        raise ConfigError(
            f"{path} cannot be judged, since it contains impossible values ({type(error).__name__}: {error})",
            hint=f"save another one: {check.typed} --save-snapshot FILE",
        ) from error


def report_of(
    check: Check[Any],
    fleet: Fleet,
    snapshot: Any,
    start: Start,
    checked_at: datetime,
    *,
    patterns: Patterns = EVERYTHING,
    book: muting.Book | None = None,
) -> Report:
    """Return a check's report of a snapshot that was taken at ``checked_at``.

    Args:
        patterns: which findings decide the verdict.
        book: of the mutes; None if they are ignored.
    """
    left = narrowed(check.findings(fleet, snapshot), snapshot.errors, patterns.select, patterns.ignore)
    heard = muting.heard(book, check.command, left.findings, left.errors)
    return start.report(
        check.command,
        check.describe(fleet, snapshot),
        heard.findings,
        heard.errors,
        headline=check.headline(fleet, snapshot, heard.findings, checked_at),
        ignored=left.ignored,
        muted=heard.muted,
        checked_at=checked_at,
    )


class _SavedSnapshot(msgspec.Struct, frozen=True):
    schema: str
    command: str
    checked_at: Moment
    fleet: Fleet
    snapshot: msgspec.Raw


def saved(check: Check[Any], fleet: Fleet, snapshot: Any, checked_at: datetime) -> bytes:
    """Return the document that ``--save-snapshot`` writes and ``--from-file`` reads."""
    # No check uses the channels, and their URLs may be secrets.
    shown = msgspec.structs.replace(fleet, alert_channels=())
    raw = msgspec.Raw(msgspec.json.encode(snapshot))
    return msgspec.json.encode(_SavedSnapshot(SNAPSHOT_SCHEMA, check.command, checked_at, shown, raw))


def _write(check: Check[Any], fleet: Fleet, snapshot: Any, path: Path, checked_at: datetime) -> None:
    try:
        # Readable only by its owner.
        with open(path, "wb", opener=_private) as file:
            file.write(saved(check, fleet, snapshot, checked_at))
    except OSError as error:
        raise ConfigError(f"the snapshot cannot be written to {path}: {error.strerror}") from None


def _private(path: str, flags: int) -> int:
    descriptor = os.open(path, flags, 0o600)
    # An existing file keeps its mode, and the mode of a device or pipe must not be changed.
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.fchmod(descriptor, 0o600)
    return descriptor


def read_saved(check: Check[Any], path: Path) -> tuple[Fleet, Any, datetime]:
    """Return the fleet, the snapshot and the time from a file that ``--save-snapshot`` wrote.

    Raises:
        ConfigError: it cannot be read, or is no snapshot of this check.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_SNAPSHOT + 1)
        if len(content) > _LARGEST_SNAPSHOT:
            raise ConfigError(f"{path} is not a snapshot: it is larger than {_LARGEST_SNAPSHOT >> 20} MiB")
        saved = decode_json(content, _SavedSnapshot)
        if saved.schema != SNAPSHOT_SCHEMA:
            raise ConfigError(f"{path}: schema {saved.schema!r}, this obsctl reads {SNAPSHOT_SCHEMA!r}")
        if saved.command != check.command:
            raise ConfigError(f"{path} holds a snapshot of `{saved.command}`, not of `{check.command}`")
        return saved.fleet, decode_json(bytes(saved.snapshot), check.snapshot_type), saved.checked_at
    except OSError as error:
        raise ConfigError(f"the snapshot {path} cannot be read: {error.strerror}") from None
    except UndecodableError as error:
        raise ConfigError(f"{path} is not a snapshot of `{check.command}`: {error}") from None
