"""The program's commands, as the tests of documents look at them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from obsctl.cli.program import ROOT


def _walk(group: Any, before: str) -> Iterator[tuple[str, Any]]:
    context = typer.Context(group)
    for name in group.list_commands(context):
        _, found, _ = group.resolve_command(context, [name])
        yield f"{before}{name}", found
        if hasattr(found, "list_commands"):
            yield from _walk(found, f"{before}{name} ")


_ALL = dict(_walk(ROOT, ""))
#: Full name of each command that is no group, such as ``kafka status``, to the command.
COMMANDS = {name: found for name, found in _ALL.items() if not hasattr(found, "list_commands")}
#: The same for groups.
GROUPS = {name: found for name, found in _ALL.items() if name not in COMMANDS}
