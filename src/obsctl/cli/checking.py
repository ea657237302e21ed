"""How every check runs: collect a snapshot (or read one), judge it, print the report, return its exit code."""

from __future__ import annotations

import os
import stat
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import typer

from obsctl.checks.check import Check
from obsctl.cli.output import publish
from obsctl.cli.reporting import Start
from obsctl.cli.settings import Output, note, settings
from obsctl.core.decoding import UndecodableError, decode_json
from obsctl.core.errors import ConfigError, ExitCode, UsageError
from obsctl.core.report import Report
from obsctl.fleet.model import Fleet

SNAPSHOT_SCHEMA = "obsctl/snapshot/v1"
#: Seconds: a day between two looks; what is longer is a slip of the finger, and no clock can sleep for infinity.
_LONGEST_WATCH_S = 86_400
_CLEAR_SCREEN = "\x1b[H\x1b[2J"


def run_check(ctx: typer.Context, check: Check[Any], *, fleet: Fleet | None = None) -> ExitCode:
    """Run the check once, or over and over with ``--watch``, and print each report.

    Args:
        fleet: instead of the inventory's.

    Raises:
        UsageError: options of :func:`obsctl.cli.settings.checking` that exclude each other.
    """
    chosen = settings(ctx)
    if chosen.from_file is not None and (chosen.watch is not None or chosen.until is not None):
        raise UsageError("--from-file excludes --watch and --until: a saved snapshot does not change")
    if chosen.until is not None and chosen.watch is None:
        raise UsageError(
            "--until needs --watch: one check has only one verdict",
            hint=f"obsctl {check.command} --watch 2 --until {chosen.until.value}",
        )
    if chosen.watch is not None and not 0 < chosen.watch <= _LONGEST_WATCH_S:
        raise UsageError(f"--watch needs a number of seconds above 0, at most {_LONGEST_WATCH_S}")
    if fleet is None and chosen.from_file is None:
        fleet = load_fleet(ctx)
    redrawn = chosen.watch is not None and chosen.output in (Output.TABLE, Output.WIDE)
    while True:
        report = _once(check, fleet, chosen.from_file, chosen.save_snapshot)
        read = publish(ctx, report, check.layouts, before=_CLEAR_SCREEN if redrawn else "")
        if chosen.watch is None or report.status.value == chosen.until or not read:
            return report.status.exit_code
        time.sleep(chosen.watch)


def load_fleet(ctx: typer.Context) -> Fleet:
    """Read the fleet that the options name; says on standard error when it chose the lab by itself."""
    from obsctl.fleet import load as loading

    source = loading.find(settings(ctx).inventory)
    if source.path.name == "lab" and source.reason not in ("--inventory", "OBSCTL_INVENTORY"):
        note(ctx, f"using {source.path} ({source.reason}); --inventory chooses another")
    return loading.load(source)


def _once(check: Check[Any], fleet: Fleet | None, from_file: Path | None, save: Path | None) -> Report:
    start = Start()
    checked_at = start.at
    if from_file is not None:
        fleet, snapshot, checked_at = _read(check, from_file)
    else:
        assert fleet is not None  # noqa: S101 - run_check has one, but for a saved snapshot
        snapshot = check.collect(fleet)
        if save is not None:
            _write(check, fleet, snapshot, save, checked_at)
    return start.report(
        check.command,
        check.describe(fleet, snapshot),
        check.judge(fleet, snapshot),
        snapshot.errors,
        checked_at=checked_at,
    )


class _SavedSnapshot(msgspec.Struct, frozen=True):
    schema: str
    command: str
    checked_at: datetime
    fleet: Fleet
    snapshot: msgspec.Raw


def _write(check: Check[Any], fleet: Fleet, snapshot: Any, path: Path, checked_at: datetime) -> None:
    # No check looks at the channels, and their URLs may be secrets; what is left is for the person's eyes alone.
    shown = msgspec.structs.replace(fleet, alert_channels=())
    raw = msgspec.Raw(msgspec.json.encode(snapshot))
    saved = _SavedSnapshot(SNAPSHOT_SCHEMA, check.command, checked_at, shown, raw)
    try:
        with open(path, "wb", opener=_private) as file:
            file.write(msgspec.json.encode(saved))
    except OSError as error:
        raise ConfigError(f"the snapshot cannot be written to {path}: {error.strerror}") from None


def _private(path: str, flags: int) -> int:
    descriptor = os.open(path, flags, 0o600)
    # A file that was there keeps its mode; a device or a pipe is not ours to close to others.
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.fchmod(descriptor, 0o600)
    return descriptor


def _read(check: Check[Any], path: Path) -> tuple[Fleet, Any, datetime]:
    try:
        saved = decode_json(path.read_bytes(), _SavedSnapshot)
        if saved.schema != SNAPSHOT_SCHEMA:
            raise ConfigError(f"{path}: schema {saved.schema!r}, this obsctl reads {SNAPSHOT_SCHEMA!r}")
        if saved.command != check.command:
            raise ConfigError(f"{path} holds a snapshot of `{saved.command}`, not of `{check.command}`")
        return saved.fleet, decode_json(bytes(saved.snapshot), check.snapshot_type), saved.checked_at
    except OSError as error:
        raise ConfigError(f"the snapshot {path} cannot be read: {error.strerror}") from None
    except UndecodableError as error:
        raise ConfigError(f"{path} is not a snapshot of `{check.command}`: {error}") from None
