"""Options that every command takes, before or after its name, and where they are kept."""

from __future__ import annotations

import enum
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import click

from obsctl.core.errors import UsageError


class Output(enum.StrEnum):
    """The formats of a report."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    NDJSON = "ndjson"
    YAML = "yaml"
    NAGIOS = "nagios"


@dataclass
class Settings:
    """What the shared options were set to; one object an invocation, on the root context."""

    output: Output = Output.TABLE
    inventory: str | None = None
    quiet: bool = False


def settings(ctx: click.Context) -> Settings:
    """Return the invocation's settings."""
    found: Settings = ctx.find_root().ensure_object(Settings)
    return found


def note(ctx: click.Context, text: str) -> None:
    """Write progress or a hint to standard error, unless --quiet."""
    if not settings(ctx).quiet:
        click.echo(text, err=True)


def _store(field: str, convert: Callable[[Any], Any]) -> Callable[[click.Context, click.Parameter, Any], None]:
    def callback(ctx: click.Context, _param: click.Parameter, value: Any) -> None:
        # None or False means "not given here": what another level of the command line said stays.
        if value:
            setattr(settings(ctx), field, convert(value))

    return callback


def _shared_options() -> list[click.Option]:
    return [
        click.Option(
            ["-o", "--output"], type=click.Choice([o.value for o in Output]), expose_value=False,
            callback=_store("output", Output), help="Format of the result (default: table).",
        ),
        click.Option(
            ["-i", "--inventory"], metavar="PATH", expose_value=False, callback=_store("inventory", str),
            help="Ansible inventory or fleet.json (default: OBSCTL_INVENTORY, this tree's lab or prod, "
            "/etc/obsctl/fleet.json).",
        ),
        click.Option(
            ["-q", "--quiet"], is_flag=True, expose_value=False, callback=_store("quiet", bool),
            help="No progress and no hints on standard error.",
        ),
    ]  # fmt: skip


class Command(click.Command):
    """A command that takes the shared options."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("context_settings", {}).setdefault("help_option_names", ["-h", "--help"])
        super().__init__(*args, **kwargs)
        self.params.extend(_shared_options())


class Group(click.Group):
    """A group that takes the shared options and gives them to its commands."""

    command_class = Command
    group_class = type

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("context_settings", {}).setdefault("help_option_names", ["-h", "--help"])
        super().__init__(*args, **kwargs)
        self.params.extend(_shared_options())


class LazyGroup(Group):
    """A group whose commands are imported when they are called: ``--help`` loads none of them.

    Args:
        lazy: command name to (module, attribute, one-line help).
    """

    def __init__(self, *args: Any, lazy: dict[str, tuple[str, str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which they were declared."""
        return [*self._lazy, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command that was asked for."""
        entry = self._lazy.get(cmd_name)
        if entry is None:
            return super().get_command(ctx, cmd_name)
        command: click.Command = getattr(import_module(entry[0]), entry[1])
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from the declared one-line helps."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry[2]) for name, entry in self._lazy.items()])


def require_terminal(what: str) -> None:
    """Refuse an action that needs a person's answer where nobody can give one."""
    if not sys.stdin.isatty():
        raise UsageError(f"{what} asks for confirmation and there is no terminal", hint="add --yes")
