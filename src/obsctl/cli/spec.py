"""``obsctl spec``: the whole command line as JSON, for programs that write command lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import typer

from obsctl import __version__
from obsctl.cli import settings
from obsctl.cli.commands import CheckCommand, Command, alone, examples
from obsctl.core import runbooks
from obsctl.core.errors import ExitCode

SCHEMA = "obsctl/spec/v1"

spec = alone()


@spec.command("spec", cls=Command, epilog=examples("obsctl spec"))
def print_spec(ctx: typer.Context) -> None:
    """Print all commands, options, exit codes and codes of findings as one JSON object.

    Within a schema version, names are only added, never removed or given another meaning.
    """
    typer.echo(json.dumps(describe(ctx.find_root().command), ensure_ascii=False, indent=2))


def describe(root: Any) -> dict[str, Any]:
    """Return the description of the program with the root group ``root``."""
    return {
        "schema": SCHEMA,
        "version": __version__,
        "options": [_parameter(one) for one in root.params],
        "commands": [_command(name, found) for name, found in _commands(root, "")],
        "exit_codes": [{"code": code.value, "name": code.name.lower().replace("_", " ")} for code in ExitCode],
        "findings": [{"code": code, "title": runbooks.title(page)} for code, page in runbooks.pages().items()],
    }


def _commands(group: Any, before: str) -> Iterator[tuple[str, Any]]:
    """Yield full names and commands; of groups only their commands."""
    context = typer.Context(group)
    for name in group.list_commands(context):
        _, found, _ = group.resolve_command(context, [name])
        if hasattr(found, "list_commands"):
            yield from _commands(found, f"{before}{name} ")
        else:
            yield f"{before}{name}", found


def _command(name: str, found: Any) -> dict[str, Any]:
    options = [one for one in found.params if one.param_type_name == "option"]
    return {
        "name": name,
        "help": found.help,
        "check": isinstance(found, CheckCommand),
        "arguments": [_parameter(one) for one in found.params if one.param_type_name == "argument"],
        "options": [_parameter(one) for one in options],
        "examples": [line.strip() for line in (found.epilog or "").splitlines() if line.startswith("  obsctl")],
    }


def _parameter(one: Any) -> dict[str, Any]:
    """Return the description of an option or an argument; defaults that depend on the machine are only in its help."""
    is_option = one.param_type_name == "option"
    described: dict[str, Any] = {"names": sorted(one.opts, key=len)} if is_option else {"name": one.metavar or one.name}
    # Shared options use None for "not given here"; their real defaults are in the settings.
    default = one.default if one.default is not None else getattr(settings.Settings(), one.name, None)
    default = default if isinstance(default, (str, int, float, bool)) else None
    described |= {
        "type": "flag" if getattr(one, "is_flag", False) else _type(one.type),
        "metavar": one.metavar,
        "choices": list(getattr(one.type, "choices", None) or []) or None,
        "default": default,
        "min": getattr(one.type, "min", None),
        "max": getattr(one.type, "max", None),
        "required": bool(one.required),
        "multiple": bool(getattr(one, "multiple", False)) or one.nargs == -1,
        "help": one.help,
    }
    return described


#: The library's names of value types; other values have their own syntax, described in the help.
_TYPES = {
    "text": "text", "integer": "integer", "int range": "integer", "float": "float", "float range": "float",
    "path": "path", "file": "path", "directory": "path", "choice": "choice",
}  # fmt: skip


def _type(kind: Any) -> str:
    return _TYPES.get(str(kind.name), "text")
