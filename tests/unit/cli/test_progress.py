"""The line that shows how far a command is."""

from __future__ import annotations

import io
import sys

import pytest
import typer

from obsctl.cli.progress import live_line
from obsctl.cli.settings import settings


class Terminal(io.StringIO):
    """Standard error as a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def ctx() -> typer.Context:
    return typer.Context(typer.main.get_command(_app()))


def _app() -> typer.Typer:
    app = typer.Typer()
    app.command()(lambda: None)
    return app


def test_on_a_terminal_it_is_shown_and_gone_at_the_end(ctx: typer.Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("COLUMNS", "40")
    with live_line(ctx) as show:
        show("1 of 600 requests " + "x" * 100)
        show("too soon to be read")
    assert isinstance(sys.stderr, Terminal)
    written = sys.stderr.getvalue()
    assert written == f"\r\x1b[K{('1 of 600 requests ' + 'x' * 100)[:39]}\r\x1b[K"


def test_it_is_gone_after_an_interruption_too(ctx: typer.Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())

    def interrupted() -> None:
        with live_line(ctx) as show:
            show("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert isinstance(sys.stderr, Terminal)
    assert sys.stderr.getvalue().endswith("half\r\x1b[K")


@pytest.mark.parametrize("quiet", [True, False])
def test_a_pipe_and_quiet_get_nothing(quiet: bool, ctx: typer.Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal() if quiet else io.StringIO())
    settings(ctx).quiet = quiet
    with live_line(ctx) as show:
        show("something")
    assert sys.stderr.getvalue() == ""  # type: ignore[attr-defined]
