"""The formats that people read: table and wide."""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from obsctl.core.layout import Layout
from obsctl.core.report import Report, Severity, Status
from obsctl.render.plain import plain

_COLOURS = {
    Status.OK: "green",
    Status.WARNING: "yellow",
    Status.CRITICAL: "bold red",
    Status.UNKNOWN: "magenta",
}
_SEVERITY_COLOURS = {
    Severity.INFO: "cyan",
    Severity.WARNING: "yellow",
    Severity.CRITICAL: "bold red",
    Severity.UNKNOWN: "magenta",
}
#: Wide enough for every column where there is no terminal (a pipe, a file).
_PIPE_WIDTH = 160
#: Below that nothing of a table is left.
_LEAST_WIDTH = 40


def table(report: Report, layouts: Sequence[Layout]) -> str:
    """Return the report for a terminal: verdict, findings with hints, then the most useful columns."""
    return _draw(report, layouts, wide_columns=False)


def wide(report: Report, layouts: Sequence[Layout]) -> str:
    """Return the same as :func:`table` with every column."""
    return _draw(report, layouts, wide_columns=True)


def _draw(report: Report, layouts: Sequence[Layout], *, wide_columns: bool) -> str:
    from rich.console import Console
    from rich.text import Text

    on_terminal = sys.stdout.isatty()
    # Takes COLUMNS where it is a number of columns, else the terminal's, else ours.
    width = max(_LEAST_WIDTH, shutil.get_terminal_size((_PIPE_WIDTH, 24)).columns)
    buffer = io.StringIO()
    console = Console(file=buffer, width=width, force_terminal=on_terminal, highlight=False, emoji=False)
    head = Text(f"{report.command}: ")
    head.append(report.status.value.upper(), style=_COLOURS[report.status])
    head.append(f"  ({report.took_ms} ms, {report.checked_at})", style="dim")
    console.print(head)
    if report.findings or report.errors:
        console.print(_problems(report))
    for layout in layouts:
        _section(console, layout, report.data, wide_columns=wide_columns)
    # Tables pad their last column; blanks at a line's end only disturb who copies or compares.
    return "\n".join(line.rstrip() for line in buffer.getvalue().rstrip("\n").split("\n"))


def _problems(report: Report) -> Any:
    from rich.table import Table
    from rich.text import Text

    # A grid, so that a long summary goes on under itself and the severities stay a column for the eye.
    grid = Table.grid(padding=(0, 1), pad_edge=False)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for finding in report.findings:
        text = Text(plain(f"{finding.code} {finding.object}: {finding.summary}"))
        if finding.hint:
            text.append(plain(f"\n-> {finding.hint}"), style="dim")
        word = Text(f"  {finding.severity.value.upper():8}", style=_SEVERITY_COLOURS[finding.severity])
        grid.add_row(word, text)
    for error in report.errors:
        grid.add_row(
            Text("  NO DATA ", style="magenta"),
            Text(plain(f"{error.code} {error.object}: {error.summary}"), style="magenta"),
        )
    return grid


def _section(console: Any, layout: Layout, data: Mapping[str, Any], *, wide_columns: bool) -> None:
    from rich.table import Table

    rows = data.get(layout.key)
    columns = layout.columns + (layout.wide if wide_columns else ())
    if not rows or not columns:
        return
    if isinstance(rows, Mapping):
        rows = [rows]
    grid = Table(title=layout.title or None, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in columns:
        grid.add_column(column.removesuffix("_bytes").upper().replace("_", " "), overflow="fold")
    for row in rows:
        grid.add_row(*(_measure(layout, column, row.get(column)) for column in columns))
    console.print()
    console.print(grid)


def _measure(layout: Layout, column: str, value: Any) -> str:
    if column in layout.percent and value is not None:
        parts = value if isinstance(value, (list, tuple)) else [value]
        return " to ".join(f"{part:.1%}" for part in parts)
    if not column.endswith("_bytes") or value is None:
        return _cell(value)
    size = float(value)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    if isinstance(value, Mapping):
        return " ".join(f"{key}:{_cell(item)}" for key, item in value.items())
    if isinstance(value, Iterable) and not isinstance(value, str):
        return ",".join(_cell(item) for item in value) or "-"
    return plain(str(value)).replace("[", "\\[")
