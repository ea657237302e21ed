"""What the options that many commands take were set to: one object an invocation, on the root context."""

from __future__ import annotations

import enum
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from obsctl.core.errors import UsageError


class Output(enum.StrEnum):
    """The formats of a report."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    NDJSON = "ndjson"
    YAML = "yaml"
    NAGIOS = "nagios"


class Goal(enum.StrEnum):
    """The verdicts that a watch can wait for."""

    OK = "ok"


@dataclass
class Settings:
    """The values of the options that :func:`shared` and :func:`checking` declare, under the same names."""

    output: Output = Output.TABLE
    inventory: str | None = None
    quiet: bool = False
    from_file: Path | None = None
    save_snapshot: Path | None = None
    watch: float | None = None
    until: Goal | None = None


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
    """Declare the options that every command takes, before or after its name, and keep their values."""
    _keep(ctx, output=output, inventory=inventory, quiet=quiet)


def checking(
    ctx: typer.Context,
    from_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", rich_help_panel=_CHECKING,
            help="Judge the snapshot in FILE, saved before by --save-snapshot; asks no host.",
        ),
    ] = None,
    save_snapshot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", rich_help_panel=_CHECKING,
            help="Save what was seen in FILE, readable by you alone.",
        ),
    ] = None,
    watch: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", rich_help_panel=_CHECKING,
            help="Check again and again, so many seconds after the last answer (at most 86400), until Ctrl-C.",
        ),
    ] = None,
    until: Annotated[
        Goal | None,
        typer.Option(metavar="ok", rich_help_panel=_CHECKING, help="With --watch: end as soon as the verdict is ok."),
    ] = None,
) -> None:  # fmt: skip
    """Declare the options that every check takes, after its name, and keep their values."""
    _keep(ctx, from_file=from_file, save_snapshot=save_snapshot, watch=watch, until=until)


def settings(ctx: typer.Context) -> Settings:
    """Return the invocation's settings."""
    return ctx.find_root().ensure_object(Settings)


def _keep(ctx: typer.Context, **given: Any) -> None:
    for name, value in given.items():
        # None or False: not given here, and what another level of the command line said stays.
        if value is not None and value is not False:
            setattr(settings(ctx), name, value)


def note(ctx: typer.Context, text: str) -> None:
    """Write progress or a hint to standard error, unless --quiet."""
    if not settings(ctx).quiet:
        typer.echo(text, err=True)


def require_terminal(what: str) -> None:
    """Refuse an action that needs a person's answer where there is no terminal to ask on."""
    if not sys.stdin.isatty():
        raise UsageError(f"{what} asks for confirmation and there is no terminal", hint="add --yes")
