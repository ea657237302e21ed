"""The formats that people read: table and wide."""

from __future__ import annotations

import io
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from obsctl.core.layout import Layout
from obsctl.core.listed import listed
from obsctl.core.report import Finding, Report, Severity, Status, following, roots
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
_BLOCKS = "·▁▂▃▄▅▆▇█"
#: The width without a terminal (a pipe, a file): enough for all columns.
_PIPE_WIDTH = 160
#: The smallest usable width.
_LEAST_WIDTH = 40
#: The least number of rows for findings, whatever else there is to show.
_LEAST_FINDINGS = 8
#: How many consequences of a finding are named if they are not shown.
_FOLDED_NAMES = 6


class View(NamedTuple):
    """How much of a report people want to see.

    Attributes:
        consequences: whether to show findings that follow from others, and all rows.
        rows: available lines; None for no limit.
    """

    consequences: bool = False
    rows: int | None = None


#: The default: only causes, without a limit of lines.
CAUSES = View()


def table(report: Report, layouts: Sequence[Layout], view: View) -> str:
    """Return the report for a terminal: verdict, findings with hints, then the most useful columns."""
    return _draw(report, layouts, view, wide_columns=False)


def wide(report: Report, layouts: Sequence[Layout], view: View) -> str:
    """Like :func:`table`, with every column."""
    return _draw(report, layouts, view, wide_columns=True)


def _draw(report: Report, layouts: Sequence[Layout], view: View, *, wide_columns: bool) -> str:
    head = _lines(_head(report))
    tables = [_lines(*_section(layout, report.data, wide_columns=wide_columns)) for layout in layouts]
    tables = [["", *lines] for lines in tables if lines]
    # Findings come first, and the first table is the overview.
    room = None if view.rows is None else max(view.rows - len(head) - len(tables[0] if tables else []), _LEAST_FINDINGS)
    problems = _fitting(report, view, room)
    lines = [*head, *problems, *(line for lines in tables for line in lines)]
    return "\n".join(_cut(lines, view.rows, f"obsctl {report.command} -v"))


def _lines(*pieces: Any) -> list[str]:
    """Return rich's output for some parts, as lines of the present width."""
    from rich.console import Console

    on_terminal = sys.stdout.isatty()
    # The width is COLUMNS if that is a number, otherwise the terminal's, otherwise ours.
    width = max(_LEAST_WIDTH, shutil.get_terminal_size((_PIPE_WIDTH, 24)).columns)
    buffer = io.StringIO()
    console = Console(file=buffer, width=width, force_terminal=on_terminal, highlight=False, emoji=False)
    for piece in pieces:
        console.print(piece)
    text = buffer.getvalue().rstrip("\n")
    # Tables pad their last column; trailing blanks are a nuisance when copying or comparing.
    return [line.rstrip() for line in text.split("\n")] if text else []


def _cut(lines: list[str], rows: int | None, command: str) -> list[str]:
    if rows is None or len(lines) <= rows:
        return lines
    kept = max(rows - 1, 1)
    return [*lines[:kept], f"{len(lines) - kept} more rows: {command}"]


def _head(report: Report) -> Any:
    from rich.text import Text

    head = Text(f"{report.command}: ")
    head.append(report.status.value.upper(), style=_COLOURS[report.status])
    if report.headline:
        head.append(plain(f"  {report.headline}"), style="bold")
    head.append(f"  ({report.took_ms} ms, {report.checked_at})", style="dim")
    return head


def _fitting(report: Report, view: View, room: int | None) -> list[str]:
    """Return the lines of the findings, the worst first, as far as whole entries fit."""
    entries = [_lines(entry) for entry in _entries(report, consequences=view.consequences)]
    lines: list[str] = []
    for shown, entry in enumerate(entries):
        left = len(entries) - shown
        # The last line gives the number of entries that do not fit, so it is kept free while some are left.
        if room is not None and shown and len(lines) + len(entry) + (left > 1) > room:
            return [*lines, f"  {left} more {'finding' if left == 1 else 'findings'}: -v shows them"]
        lines += entry
    return lines


def _entries(report: Report, *, consequences: bool) -> Iterator[Any]:
    """Yield each cause with its consequences, each error, and what is muted or ignored."""
    from rich.text import Text

    listed: list[Finding] = []
    for root in roots(report.findings):
        follow = following([root], report.findings)
        yield _entry(root, folded=[] if consequences else follow)
        if consequences:
            yield from (_entry(finding, folded=[]) for finding in follow if finding not in listed)
            listed += follow
    for error in report.errors:
        text = Text(plain(f"{error.code} {error.object}: {error.summary}"), style="magenta")
        yield _row(Text("  UNKNOWN ", style="magenta"), text)
    for muted in report.muted:
        text = Text(plain(f"{muted.code} {muted.object}: {muted.summary}"), style="dim")
        text.append(plain(f"\n-> until {muted.until}, by {muted.author}: {muted.reason}"))
        yield _row(Text("  MUTED   ", style="dim"), text)
    if report.ignored:
        yield Text(plain(f"  {_ignored(report)}"), style="dim")


def _ignored(report: Report) -> str:
    """Return how many findings of each code the command line excludes from the verdict."""
    counts = Counter(finding.code for finding in report.ignored)
    named = ", ".join(f"{code} ({count})" if count > 1 else code for code, count in counts.items())
    return f"{len(report.ignored)} ignored: {named}"


def _entry(finding: Finding, *, folded: Sequence[Finding]) -> Any:
    from rich.text import Text

    indent = "    " if finding.caused_by else "  "
    text = Text(plain(f"{finding.code} {finding.object}: {finding.summary}"))
    if finding.hint:
        text.append(plain(f"\n-> {finding.hint}"), style="dim")
    if folded:
        names = list(dict.fromkeys(f"{one.code} {one.object}" for one in folded))
        follows = f"{len(folded)} {'follows' if len(folded) == 1 else 'follow'} from it"
        text.append(plain(f"\n{follows}: {listed(names, _FOLDED_NAMES)} (-v shows them)"))
    return _row(Text(f"{indent}{finding.severity.value.upper():8}", style=_SEVERITY_COLOURS[finding.severity]), text)


def _row(word: Any, text: Any) -> Any:
    """Return a severity and its text side by side: the severities form a column, and long texts are indented."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 1), pad_edge=False)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(word, text)
    return grid


def _section(layout: Layout, data: Mapping[str, Any], *, wide_columns: bool) -> list[Any]:
    from rich.table import Table
    from rich.text import Text

    rows = data.get(layout.key)
    columns = layout.columns + (layout.wide if wide_columns else ())
    if not rows or not columns:
        return []
    if isinstance(rows, Mapping):
        rows = [rows]
    rows = [row for row in rows if not row.get(layout.folded)]
    if not rows:
        return []
    grid = Table(title=layout.title or None, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in columns:
        grid.add_column(column.removesuffix("_bytes").upper().replace("_", " "), overflow="fold")
    for row in rows:
        # As Text objects, because rich interprets markup in strings, and these are from hosts and clients.
        grid.add_row(*(Text(plain(_measure(layout, column, row.get(column)))) for column in columns))
    return [grid]


def _measure(layout: Layout, column: str, value: Any) -> str:
    if column in layout.bars:
        return _bars(value)
    if column in layout.percent and value is not None:
        parts = value if isinstance(value, (list, tuple)) else [value]
        return " to ".join(f"{part:.1%}" for part in parts)
    if not column.endswith("_bytes") or value is None:
        return _cell(value, nothing="?" if column in layout.unknown else "-")
    size = float(value)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def _bars(counts: Sequence[int] | None) -> str:
    """Return a histogram in one line: a block for each count, the highest for the largest, a dot for 0."""
    largest = max(counts, default=0) if counts else 0
    if not counts or not largest:
        return "-"
    return "".join(_BLOCKS[-(-max(count, 0) * (len(_BLOCKS) - 1) // largest)] for count in counts)


def _cell(value: Any, *, nothing: str = "-") -> str:
    if value is None:
        return nothing
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    if isinstance(value, Mapping):
        return " ".join(f"{key}:{_cell(item, nothing=nothing)}" for key, item in value.items())
    if isinstance(value, Iterable) and not isinstance(value, str):
        return ",".join(_cell(item) for item in value) or "-"
    return str(value)
