"""The kinds of command of this program, built on Typer's, with everything that commands share.

A module of commands makes its group with :func:`group`, and each command in it is declared by the type hints of its
function. Options of every command (``-o``, ``-i``, ``-q``) and of every check are added by the command's class.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Callable
from functools import cache, wraps
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup

from obsctl.cli import settings
from obsctl.core.errors import ExitCode

_EMPTY = "it is empty; is the shell variable in its place set?"
_NO_TEXT = "it is not text in UTF-8"


def examples(*lines: str) -> str:
    """Return the examples at the end of a command's help: command lines that can be typed as they are."""
    # The empty line keeps the indentation: Typer removes the common indentation of all lines but the first.
    return "\n".join(["", "Examples:", *(f"  {line}" for line in lines)])


def group(
    name: str,
    *,
    help: str,  # noqa: A002 - as Typer calls it
    epilog: str,
    cls: type[Group] | None = None,
) -> typer.Typer:
    """Return a group for ``@group.command(...)``; ``cls`` for a group that finds its commands in another way."""
    return typer.Typer(
        name=name,
        cls=cls or Group,
        help=help,
        epilog=epilog,
        add_completion=False,
        rich_markup_mode="rich",
        pretty_exceptions_show_locals=False,
    )


def alone() -> typer.Typer:
    """Return the app for a single command without a group, for ``@NAME.command(...)``."""
    return typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_show_locals=False)


#: A Check of obsctl.checks; that module is imported only when a command runs, and not for the help.
AnyCheck = Any


def check(app: typer.Typer, name: str, *lines: str) -> Callable[[Callable[..., AnyCheck]], Callable[..., ExitCode]]:
    """Declare a command that runs a check, made by the function from its options (and ``ctx``, if it takes that).

    Args:
        app: the group.
        name: the command's, within its group.
        lines: examples for its help.
    """

    def declare(make: Callable[..., AnyCheck]) -> Callable[..., ExitCode]:
        own = inspect.signature(make, eval_str=True)
        wanted = {"ctx"} & own.parameters.keys()
        context = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)

        @wraps(make)
        def run(ctx: typer.Context, **options: Any) -> ExitCode:
            from obsctl.cli.checking import run_check

            return run_check(ctx, make(**dict.fromkeys(wanted, ctx), **options))

        parameters = [context, *(one for name, one in own.parameters.items() if name != "ctx")]
        run.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
        app.command(name, cls=CheckCommand, epilog=examples(*lines))(run)
        return run

    return declare


class _TakesOptions:
    """Adds the options that functions declare by their type hints, and passes the values to these functions.

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
        """Return the parser of the command line, which accepts no empty text as a value.

        An empty text usually comes from an unset shell variable, and would look like a missing option, or like the
        current folder. Bytes that are not valid text could not be put into a report, a record or a message.
        """
        parser = super().make_parser(ctx)  # type: ignore[misc]
        parse = parser.parse_args

        def parse_args(args: list[str]) -> Any:
            values, rest, order = parse(args)
            for param in () if ctx.resilient_parsing else order:
                # The arguments of another program's command line may be anything.
                if param.nargs == 1 and (why := _wrong(values.get(param.name))):
                    raise typer.BadParameter(why, ctx=ctx, param=param)
            return values, rest, order

        parser.parse_args = parse_args
        return parser

    def invoke(self, ctx: Any) -> Any:
        """Pass the declared options to their functions, then run the command."""
        settings.settings(ctx).command = ctx.command_path.partition(" ")[2]
        for function in self.declarations:
            declared = _declared(function)
            declared.callback(**{option.name: ctx.params.pop(option.name) for option in declared.params})
        return super().invoke(ctx)  # type: ignore[misc]

    def format_epilog(self, _ctx: Any, formatter: Any) -> None:
        """Write the examples unchanged if Typer does not use rich (TYPER_USE_RICH=0)."""
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


def _wrong(given: Any) -> str:
    """Return why a value is invalid for a parameter; empty if it is valid."""
    words = [word for word in (given if isinstance(given, list) else [given]) if isinstance(word, str)]
    if any(not word.strip() for word in words):
        return _EMPTY
    return "" if all(_is_text(word) for word in words) else _NO_TEXT


def _is_text(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def _flowing(attributes: dict[str, Any]) -> dict[str, Any]:
    """Join the lines of each paragraph of a help text: rich keeps the source's line breaks, which fit no terminal."""
    text = inspect.cleandoc(attributes.get("help") or "")
    paragraphs = [paragraph.replace("\n", " ") for paragraph in text.split("\n\n")]
    return {**attributes, "help": "\n\n".join(paragraphs)}


@cache
def _declared(function: Callable[..., None]) -> Any:
    """Return the Typer command of a function: its options, and a callback with their values."""
    app = typer.Typer(add_completion=False)
    app.command()(function)
    return typer.main.get_command(app)
