"""``obsctl explain``: the runbook page of a finding's code."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

import typer

from obsctl.cli.commands import Command, alone, examples
from obsctl.core.errors import UsageError

_PAGES = Path(__file__).resolve().parent.parent / "runbooks"

explain = alone()


def _pages() -> dict[str, Path]:
    return {page.stem: page for page in sorted(_PAGES.glob("[A-Z]*.md"))}


@explain.command("explain", cls=Command, epilog=examples("obsctl explain", "obsctl explain LB_SKEW"))
def explain_code(
    code: Annotated[
        str | None,
        typer.Argument(
            metavar="CODE",
            help="A finding's code; upper and lower case are the same.",
            autocompletion=lambda: [*_pages()],
        ),
    ] = None,
) -> None:
    """Print what a finding's CODE means, why it happens and what to do; without CODE, list all codes."""
    pages = _pages()
    if code is None:
        for name, page in pages.items():
            typer.echo(f"{name:32} {page.read_text(encoding='utf-8').splitlines()[2]}")
        return
    if code.upper() not in pages:
        near = ", ".join(get_close_matches(code.upper(), pages, n=3))
        hint = f"did you mean: {near}" if near else "`obsctl explain` lists all codes"
        raise UsageError(f"no finding has the code {code!r}", hint=hint)
    typer.echo(pages[code.upper()].read_text(encoding="utf-8").rstrip("\n"))
