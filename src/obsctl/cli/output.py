"""The one place that writes a result to standard output."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from obsctl.cli.settings import settings
from obsctl.core.errors import ObsctlError
from obsctl.core.layout import Layout

if TYPE_CHECKING:
    from obsctl.core.report import Report


def publish(ctx: typer.Context, report: Report, layouts: Sequence[Layout] = (), *, before: str = "") -> bool:
    """Print the report in the format that was asked for.

    A reader that has gone (``head``, a pager that was quit) takes nothing from the verdict, so it is no error.

    Args:
        layouts: which lists of its data people see as tables, in this order.
        before: written ahead of it.

    Returns:
        Whether anybody can still read.

    Raises:
        OutputError: standard output cannot be written for another reason.
    """
    from obsctl.render import render

    try:
        typer.echo(before + render(report, settings(ctx).output.value, layouts))
    except ReaderGoneError:
        return False
    return True


def guard() -> None:
    """Have every write to standard output say in words why it failed."""
    plain = sys.stdout
    if type(plain) is io.TextIOWrapper:
        encoding, errors, by_line = plain.encoding, plain.errors, plain.line_buffering
        guarded = _Guarded(plain.detach(), encoding, errors, line_buffering=by_line)
        # Both names, for the terminal's width is asked of the second one.
        sys.stdout = sys.__stdout__ = guarded  # type: ignore[misc]


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
    sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - for the rest of the process
