"""The kinds of command of this program, built on Typer's: what is common to them stands here, once.

A module of commands makes its group with :func:`group`, and each command in it is declared by the type hints of its
function. Options of every command (``-o``, ``-i``, ``-q``) and of every check are added by the command's class.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Callable
from functools import cache
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup

from obsctl.cli import settings

_EMPTY = "it is empty; is the shell variable set that stands there?"


def examples(*lines: str) -> str:
    """Return the end of a command's help: command lines that can be typed as they stand."""
    # The empty line keeps the indentation: Typer removes what all lines but the first have of it.
    return "\n".join(["", "Examples:", *(f"  {line}" for line in lines)])


def group(name: str, *, help: str, epilog: str) -> typer.Typer:  # noqa: A002 - as Typer calls it
    """Return a group of commands for ``@group.command(...)``."""
    return typer.Typer(
        name=name,
        cls=Group,
        help=help,
        epilog=epilog,
        add_completion=False,
        rich_markup_mode="rich",
        pretty_exceptions_show_locals=False,
    )


def alone() -> typer.Typer:
    """Return what carries one command that is in no group, for ``@NAME.command(...)``."""
    return typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_show_locals=False)


class _TakesOptions:
    """Adds the options that functions declare by their type hints, and gives those functions the values.

    Attributes:
        declarations: functions with the options' names as parameters, and ``ctx``.
    """

    declarations: ClassVar[tuple[Callable[..., None], ...]] = (settings.shared,)
    params: list[Any]
    epilog: str | None

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **_flowing(attributes))
        for function in self.declarations:
            self.params.extend(_declared(function).params)

    def make_parser(self, ctx: Any) -> Any:
        """Return the parser of the command line, which takes no empty text for a single value.

        It is what an unset variable of a shell leaves, and would pass for an option that was not given, or for the
        current folder.
        """
        parser = super().make_parser(ctx)  # type: ignore[misc]
        parse = parser.parse_args

        def parse_args(args: list[str]) -> Any:
            values, rest, order = parse(args)
            for param in () if ctx.resilient_parsing else order:
                given = values.get(param.name)
                # The words of another program's command line may be empty.
                if param.nargs == 1 and "" in (given if isinstance(given, list) else [given]):
                    raise typer.BadParameter(_EMPTY, ctx=ctx, param=param)
            return values, rest, order

        parser.parse_args = parse_args
        return parser

    def invoke(self, ctx: Any) -> Any:
        """Give the declared options away, then carry out what is asked for."""
        for function in self.declarations:
            declared = _declared(function)
            declared.callback(**{option.name: ctx.params.pop(option.name) for option in declared.params})
        return super().invoke(ctx)  # type: ignore[misc]

    def format_epilog(self, _ctx: Any, formatter: Any) -> None:
        """Write the last part as it is, where Typer is kept from using rich (TYPER_USE_RICH=0)."""
        if self.epilog:
            formatter.write(f"\n{self.epilog}\n")


class Command(_TakesOptions, TyperCommand):
    """A command that takes the shared options."""


class CheckCommand(_TakesOptions, TyperCommand):
    """A command that runs a check: it takes the options of every check, and the shared ones."""

    declarations = (settings.checking, settings.shared)


class Group(_TakesOptions, TyperGroup):
    """A group that takes the shared options; called without a command, it shows its help on standard error."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the group's own options."""
        rest = super().parse_args(ctx, args)
        if not args and not ctx.resilient_parsing:
            with contextlib.redirect_stdout(sys.stderr):
                typer.echo(ctx.get_help())
        return rest


def _flowing(attributes: dict[str, Any]) -> dict[str, Any]:
    """Let each paragraph of a help text flow: rich keeps the source's line ends, which fit no terminal."""
    text = inspect.cleandoc(attributes.get("help") or "")
    paragraphs = [paragraph.replace("\n", " ") for paragraph in text.split("\n\n")]
    return {**attributes, "help": "\n\n".join(paragraphs)}


@cache
def _declared(function: Callable[..., None]) -> Any:
    """Return the Typer command of a function: its options, and what calls it with their values."""
    app = typer.Typer(add_completion=False)
    app.command()(function)
    return typer.main.get_command(app)
