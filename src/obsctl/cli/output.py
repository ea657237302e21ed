"""The one place that writes a result to standard output."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import typer

from obsctl.cli.settings import settings
from obsctl.core.errors import ObsctlError
from obsctl.core.layout import Layout

if TYPE_CHECKING:
    from obsctl.core.report import Report


def publish(
    ctx: typer.Context, report: Report, layouts: Sequence[Layout] = (), *, before: str = "", rows: int | None = None
) -> bool:
    """Print the report in the format that was asked for.

    A reader that has gone (``head``, a pager that was quit) takes nothing from the verdict, so it is no error.

    Args:
        layouts: which lists of its data people see as tables, in this order.
        before: written ahead of it.
        rows: how many lines a person's format may take; None for any number.

    Returns:
        Whether anybody can still read.

    Raises:
        OutputError: standard output cannot be written for another reason.
    """
    from obsctl.render import View, render

    chosen = settings(ctx)
    view = View(consequences=chosen.verbose, rows=rows)
    try:
        # By its name: the framework has a stream of its own for one in ASCII, whose failures nobody would name.
        typer.echo(before + render(report, chosen.output.value, layouts, view), file=sys.stdout)
        chosen.published = report.status
    except ReaderGoneError:
        return False
    return True


def guard() -> None:
    """Have every write to standard output say in words why it failed, and none to standard error end the program.

    A stream that the caller has closed (``>&-``) takes everything: no reader is there, and the exit code says the
    verdict.
    """
    if sys.stdout is None:
        sys.stdout = _nowhere()
    if sys.stderr is None:
        sys.stderr = _nowhere()
    # Both names of each, for the terminal's width is asked of the second one.
    if type(sys.stdout) is io.TextIOWrapper:
        sys.stdout = sys.__stdout__ = _Guarded(**_taken(sys.stdout))  # type: ignore[misc]
    if type(sys.stderr) is io.TextIOWrapper:
        sys.stderr = sys.__stderr__ = _Heedless(**_taken(sys.stderr))  # type: ignore[misc]


class OutputError(ObsctlError):
    """Standard output cannot be written, so the result is lost."""


class ReaderGoneError(Exception):
    """The reader of standard output has gone (``head``, a pager that was quit): no error, and not Typer's to handle."""


class _Guarded(io.TextIOWrapper):
    def write(self, text: str) -> int:
        with _failures_named():
            return super().write(text)

    def flush(self) -> None:
        with _failures_named():
            super().flush()


class _Heedless(io.TextIOWrapper):
    """Standard error: if it cannot be written, the result and the exit code still can be had."""

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError:
            # What its buffer still holds would fail again when the process ends, and change the exit code.
            sys.stderr = _nowhere()
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError:
            sys.stderr = _nowhere()


def _taken(plain: io.TextIOWrapper) -> dict[str, Any]:
    """Take a stream's buffer; return the arguments of a stream that writes the same way, and takes every text.

    What hosts are called need not be in the terminal's character set, and a verdict is never lost for it.
    """
    errors = "replace" if plain.errors in ("strict", "surrogateescape") else plain.errors
    like = {"encoding": plain.encoding, "errors": errors, "line_buffering": plain.line_buffering}
    return {"buffer": plain.detach(), **like}


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")  # for the rest of the process


@contextlib.contextmanager
def _failures_named() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        _give_up()
        raise ReaderGoneError from None
    except OSError as error:
        _give_up()
        raise OutputError(f"standard output cannot be written: {error.strerror}") from None


def _give_up() -> None:
    """Give up standard output: what its buffer still holds would fail again when the process ends."""
    sys.stdout = _nowhere()
