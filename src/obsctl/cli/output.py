"""The one place that writes a result to standard output."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from obsctl.cli.settings import settings
from obsctl.core.errors import ObsctlError
from obsctl.core.report import Report


def publish(ctx: click.Context, report: Report, *, before: str = "") -> bool:
    """Print the report in the format that was asked for.

    A reader that has gone (``head``, a pager that was quit) takes nothing from the verdict, so it is no error.

    Args:
        before: written ahead of it.

    Returns:
        Whether anybody can still read.

    Raises:
        OutputError: standard output cannot be written for another reason.
    """
    from obsctl.render import render

    try:
        click.echo(before + render(report, settings(ctx).output.value))
    except BrokenPipeError:
        let_go()
        return False
    return True


def guard() -> None:
    """Have standard output say in words why it cannot be written, whoever writes to it."""
    plain = sys.stdout
    if type(plain) is io.TextIOWrapper:
        encoding, errors, by_line = plain.encoding, plain.errors, plain.line_buffering
        guarded = _Guarded(plain.detach(), encoding, errors, line_buffering=by_line)
        # Both names, for the terminal's width is asked of the second one.
        sys.stdout = sys.__stdout__ = guarded  # type: ignore[misc]


class OutputError(ObsctlError):
    """Standard output cannot be written: nobody knows the result."""


class _Guarded(io.TextIOWrapper):
    def write(self, text: str) -> int:
        with _in_words():
            return super().write(text)

    def flush(self) -> None:
        with _in_words():
            super().flush()


@contextlib.contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        let_go()
        raise OutputError(f"standard output cannot be written: {error.strerror}") from None


def let_go() -> None:
    """Give up standard output: what its buffer still holds would fail again when the process ends."""
    sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - for the rest of the process
