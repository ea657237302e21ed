"""``obsctl explain``: the runbook page of a finding's code."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

import click

from obsctl.cli.settings import Command
from obsctl.core.errors import UsageError

_PAGES = Path(__file__).resolve().parent.parent / "runbooks"


@click.command(cls=Command)
@click.argument("code", required=False)
def explain(code: str | None) -> None:
    """Print what a finding's CODE means, why it happens and what to do; without CODE, list all codes.

    \b
    Examples:
      obsctl explain
      obsctl explain LB_SKEW
    """
    pages = {page.stem: page for page in sorted(_PAGES.glob("[A-Z]*.md"))}
    if code is None:
        for name, page in pages.items():
            click.echo(f"{name:32} {page.read_text(encoding='utf-8').splitlines()[2]}")
        return
    if code.upper() not in pages:
        near = ", ".join(get_close_matches(code.upper(), pages, n=3))
        hint = f"did you mean: {near}" if near else "`obsctl explain` lists all codes"
        raise UsageError(f"no finding has the code {code!r}", hint=hint)
    click.echo(pages[code.upper()].read_text(encoding="utf-8").rstrip("\n"))
