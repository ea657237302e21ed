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
    """Print the report in the requested format.

    If the reader has gone (``head``, a pager that was quit), that is not an error, because the verdict stays valid.

    Args:
        layouts: the tables for people, in this order.
        before: text to write first.
        rows: how many lines a format for people may take; None for no limit.

    Returns:
        Whether the reader is still there.

    Raises:
        OutputError: standard output cannot be written for another reason.
    """
    from obsctl.render import View, render

    chosen = settings(ctx)
    view = View(consequences=chosen.verbose, rows=rows)
    try:
        # By name: for an ASCII stream the framework uses its own stream, whose errors would not be explained.
        typer.echo(before + render(report, chosen.output.value, layouts, view), file=sys.stdout)
        chosen.published = report.status
    except ReaderGoneError:
        return False
    return True


def guard() -> None:
    """Make failed writes to standard output raise an explained error, and ignore failed writes to standard error.

    A stream that the caller has closed (``>&-``) accepts everything: there is no reader, and the exit code has the
    verdict.
    """
    if sys.stdout is None:
        sys.stdout = _nowhere()
    if sys.stderr is None:
        sys.stderr = _nowhere()
    # Both names of each stream, because the terminal's width is read from the second one.
    if type(sys.stdout) is io.TextIOWrapper:
        sys.stdout = sys.__stdout__ = _Guarded(**_taken(sys.stdout))  # type: ignore[misc]
    if type(sys.stderr) is io.TextIOWrapper:
        sys.stderr = sys.__stderr__ = _Heedless(**_taken(sys.stderr))  # type: ignore[misc]


class OutputError(ObsctlError):
    """Standard output cannot be written, so the result is lost."""


class ReaderGoneError(Exception):
    """The reader of standard output has gone (``head``, a pager that was quit); not an error, and not Typer's."""


class _Guarded(io.TextIOWrapper):
    def write(self, text: str) -> int:
        with _failures_named():
            return super().write(text)

    def flush(self) -> None:
        with _failures_named():
            super().flush()


class _Heedless(io.TextIOWrapper):
    """Standard error that ignores failed writes: the result and the exit code are still available."""

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError:
            # The rest of its buffer would fail again when the process ends, and change the exit code.
            sys.stderr = _nowhere()
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError:
            sys.stderr = _nowhere()


def _taken(plain: io.TextIOWrapper) -> dict[str, Any]:
    """Take a stream's buffer; return the arguments of a stream that writes the same way, and accepts every text.

    Names of hosts may not be in the terminal's character set, which must not lose the verdict.
    """
    errors = "replace" if plain.errors in ("strict", "surrogateescape") else plain.errors
    like = {"encoding": plain.encoding, "errors": errors, "line_buffering": plain.line_buffering}
    return {"buffer": plain.detach(), **like}


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")  # stays open for the rest of the process


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
    """Discard standard output: the rest of its buffer would fail again when the process ends."""
    sys.stdout = _nowhere()
