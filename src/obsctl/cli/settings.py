"""The values of the options that many commands take: one object per invocation, on the root context."""

from __future__ import annotations

import enum
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from obsctl.cli import completion
from obsctl.core.errors import UsageError

#: Time between two progress notes of long work, seconds.
_SAY_EVERY_S = 5.0
if TYPE_CHECKING:
    from obsctl.core.report import Status


class Output(enum.StrEnum):
    """The formats of a report."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    NDJSON = "ndjson"
    YAML = "yaml"
    NAGIOS = "nagios"


class Threshold(enum.StrEnum):
    """The least bad verdict for which the exit code is not 0."""

    WARNING = "warning"
    UNKNOWN = "unknown"
    CRITICAL = "critical"


class Goal(enum.StrEnum):
    """The verdicts that a watch can wait for."""

    OK = "ok"


@dataclass
class Settings:
    """The values of the options that :func:`shared` and :func:`checking` declare, under the same names.

    Attributes:
        given: names of those that have a value on the command line.
        command: the running command, such as ``verify lb``; empty before it is known.
        published: the verdict of the last report that was printed.
    """

    output: Output = Output.TABLE
    inventory: str | None = None
    quiet: bool = False
    from_file: Path | None = None
    save_snapshot: Path | None = None
    watch: float | None = None
    until: Goal | None = None
    verbose: bool = False
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    fail_on: Threshold = Threshold.WARNING
    given: set[str] = field(default_factory=set, compare=False)
    command: str = field(default="", compare=False)
    published: Status | None = field(default=None, compare=False)


_SHARED = "Options of every command"
_CHECKING = "Options of every check"


def shared(
    ctx: typer.Context,
    output: Annotated[
        Output | None,
        typer.Option(
            "-o", "--output", metavar="FORMAT", rich_help_panel=_SHARED,
            help=f"Format of the result: {', '.join(Output)} (default: table).",
        ),
    ] = None,
    inventory: Annotated[
        str | None,
        typer.Option(
            "-i", "--inventory", metavar="PATH", rich_help_panel=_SHARED,
            help="Ansible inventory or fleet.json (default: the environment's OBSCTL_INVENTORY, this tree's lab or "
            "prod, /etc/obsctl/fleet.json).",
        ),
    ] = None,
    quiet: Annotated[
        bool,
        typer.Option("-q", "--quiet", help="No progress and no hints on standard error.", rich_help_panel=_SHARED),
    ] = False,
) -> None:  # fmt: skip
    """Declare the options that every command takes, before or after its name, and store their values."""
    _keep(ctx, output=output, inventory=inventory, quiet=quiet)


def checking(
    ctx: typer.Context,
    *,
    from_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", rich_help_panel=_CHECKING,
            help="Judge the snapshot in FILE, saved earlier with --save-snapshot; contacts no host.",
        ),
    ] = None,
    save_snapshot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", rich_help_panel=_CHECKING,
            help="Save the collected data in FILE, readable only by you.",
        ),
    ] = None,
    watch: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", rich_help_panel=_CHECKING,
            help="Repeat the check at this interval in seconds (at most 86400), until Ctrl-C.",
        ),
    ] = None,
    until: Annotated[
        Goal | None,
        typer.Option(metavar="ok", rich_help_panel=_CHECKING, help="With --watch: exit as soon as the verdict is ok."),
    ] = None,
    verbose: Annotated[
        bool,
        typer.Option(
            "-v", "--verbose", rich_help_panel=_CHECKING,
            help="Also show findings that follow from others, and every row.",
        ),
    ] = False,
    select: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CODE=OBJECT", rich_help_panel=_CHECKING, autocompletion=completion.codes,
            help="Only findings with this code (and object) decide the verdict; wildcards allowed, repeatable.",
        ),
    ] = None,
    ignore: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CODE=OBJECT", rich_help_panel=_CHECKING, autocompletion=completion.codes,
            help="Findings with this code (and object) do not decide the verdict; wildcards allowed, repeatable.",
        ),
    ] = None,
    fail_on: Annotated[
        Threshold | None,
        typer.Option(
            metavar="VERDICT", rich_help_panel=_CHECKING,
            help="Exit with 0 below this verdict: warning, unknown or critical (default: warning).",
        ),
    ] = None,
) -> None:  # fmt: skip
    """Declare the options that every check takes, after its name, and store their values."""
    _keep(ctx, from_file=from_file, save_snapshot=save_snapshot, watch=watch, until=until)
    _keep(ctx, verbose=verbose, fail_on=fail_on)
    _keep(ctx, select=tuple(select or ()) or None, ignore=tuple(ignore or ()) or None)


def settings(ctx: typer.Context) -> Settings:
    """Return the invocation's settings."""
    return ctx.find_root().ensure_object(Settings)


def _keep(ctx: typer.Context, **given: Any) -> None:
    for name, value in given.items():
        # None or False: not given here, so a value from another level of the command line stays.
        if value is not None and value is not False:
            setattr(settings(ctx), name, value)
            settings(ctx).given.add(name)


def note(ctx: typer.Context, text: str) -> None:
    """Write progress or a hint to standard error, unless --quiet."""
    from obsctl.render.plain import plain

    if not settings(ctx).quiet:
        typer.echo(plain(text), err=True)


def now_and_then(ctx: typer.Context) -> Callable[[str], None]:
    """Return a function that writes progress notes, at a limited rate."""
    last = time.monotonic()

    def say(text: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _SAY_EVERY_S:
            last = now
            note(ctx, text)

    return say


def require_terminal(what: str) -> None:
    """Refuse an action that needs a person's answer if there is no terminal."""
    if not sys.stdin.isatty():
        raise UsageError(f"{what} asks for confirmation, but there is no terminal", hint="add --yes")
