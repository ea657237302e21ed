"""A progress line on the terminal, removed when the command has its answer."""

from __future__ import annotations

import contextlib
import shutil
import sys
import time
from collections.abc import Callable, Iterator

import typer

from obsctl.cli.settings import settings

#: Time between two updates of the line, seconds: nobody can read faster changes.
_EVERY_S = 0.1
_CLEAR_LINE = "\r\x1b[K"


@contextlib.contextmanager
def live_line(ctx: typer.Context) -> Iterator[Callable[[str], None]]:
    """Yield a function that shows a text in place of the previous one, while the block runs.

    It writes to standard error, and only if that is a terminal and --quiet was not given.
    """
    from obsctl.render.plain import plain

    if settings(ctx).quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    shown_at = 0.0

    def show(text: str) -> None:
        nonlocal shown_at
        now = time.monotonic()
        if now - shown_at >= _EVERY_S:
            shown_at = now
            width = shutil.get_terminal_size().columns - 1
            sys.stderr.write(f"{_CLEAR_LINE}{plain(text)[:width]}")
            sys.stderr.flush()

    try:
        yield show
    finally:
        sys.stderr.write(_CLEAR_LINE)
        sys.stderr.flush()
