"""``obsctl explain``: the runbook page of a finding's code."""

from __future__ import annotations

from typing import Annotated

import typer

from obsctl.cli import codes, completion
from obsctl.cli.commands import Command, alone, examples
from obsctl.core import runbooks

explain = alone()


@explain.command("explain", cls=Command, epilog=examples("obsctl explain", "obsctl explain LB_SKEW"))
def explain_code(
    code: Annotated[
        str | None,
        typer.Argument(
            metavar="CODE",
            help="A finding's code, in upper or lower case.",
            autocompletion=completion.codes,
        ),
    ] = None,
) -> None:
    """Print what a finding's CODE means, why it happens and what to do; without CODE, list all codes."""
    if code is None:
        for name, page in runbooks.pages().items():
            typer.echo(f"{name:32} {runbooks.title(page)}")
        return
    typer.echo(codes.page_of(code).read_text(encoding="utf-8").rstrip("\n"))
