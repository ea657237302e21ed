"""``obsctl search``: stored lines that fit a filter."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from obsctl.cli.commands import Command, alone, examples
from obsctl.cli.lines import Filter, Log, OfLog
from obsctl.cli.moments import moment
from obsctl.cli.settings import note
from obsctl.core.errors import ExitCode, ObsctlError, UsageError
from obsctl.core.layout import Layout
from obsctl.core.utc import timestamp

if TYPE_CHECKING:
    from collections.abc import Callable

    from obsctl.fleet.model import Fleet
    from obsctl.search.question import Question
    from obsctl.search.windows import Windows

search = alone()

_HOUR = timedelta(hours=1)
_MOST_LINES = 10_000
#: Additional time limit for connecting and the last answer, seconds.
_MARGIN_S = 6.0


_LAYOUTS = {
    Log.ACCESS: Layout(
        "lines",
        "",
        ("ts", "host", "client_addr", "method", "status", "bytes", "request_time", "uri"),
        ("vhost", "upstream_addr", "upstream_status", "request_id", "user_agent", "referer"),
    ),
    Log.ERROR: Layout(
        "lines", "", ("ts", "host", "level", "message"), ("client_addr", "server_name", "request", "upstream", "vhost")
    ),
}


@search.command(
    "search",
    cls=Command,
    epilog=examples(
        "obsctl search 'status:>=500 AND uri:\\/api*' --since 24h",
        "obsctl search 'client_addr:10.0.0.0\\/8 AND request_time:>2' -o wide",
        "obsctl search 'level:>=error' --log error --limit 20",
        "obsctl search '*' --since 2026-01-31T08:00 --until 2026-01-31T09:00 -o json",
    ),
)
def search_lines(
    ctx: typer.Context,
    text: Filter = "*",
    *,
    log: OfLog = Log.ACCESS,
    since: Annotated[
        datetime | None, typer.Option(metavar="T", parser=moment, help="Lines of T or later (default: 1h).")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(metavar="T", parser=moment, help="Lines before T (default: the newest).")
    ] = None,
    limit: Annotated[
        int,
        typer.Option(
            min=1, max=_MOST_LINES, metavar="N", show_default=False, help="Show at most N lines (default: 100)."
        ),
    ] = 100,
    seconds: Annotated[
        float,
        typer.Option(
            "--timeout",
            min=1,
            max=600,
            metavar="SECONDS",
            show_default=False,
            help="Give up after this time (default: 30).",
        ),
    ] = 30.0,
) -> ExitCode:
    """Show stored lines that fit FILTER, newest first.

    FILTER is written as in alert rules: see docs/reference/query-language.md. T is a time (2026-01-31T12:00, in UTC
    without an offset) or an age: 90m, 24h, 7d. Searches backwards in time as the reading user of the database, and
    stops at N lines. Exits with 3 when the time did not suffice.
    """
    from obsctl.cli.checking import load_fleet
    from obsctl.cli.output import publish
    from obsctl.cli.progress import live_line
    from obsctl.cli.reporting import Start
    from obsctl.query.parse import parse
    from obsctl.search.question import question
    from obsctl.search.windows import Windows

    now = datetime.now(UTC)
    begin = since or (until or now) - _HOUR
    if until is not None and begin >= until:
        raise UsageError(f"--since {timestamp(begin)} is not before --until {timestamp(until)}")
    table = log.table
    asked = question(parse(text, table), table, now)
    start = Start()
    windows = Windows(begin, until, now)
    with live_line(ctx) as show:
        lines, whole = _lines(load_fleet(ctx), asked, windows, show, limit=limit, seconds=seconds)
    if not whole:
        note(
            ctx,
            f"the search was stopped after {seconds:g} s: nothing before {timestamp(windows.reached)} was looked at",
        )
    elif len(lines) == limit:
        note(ctx, f"limited to {limit:,}: --limit shows more")
    elif not lines:
        note(ctx, f"no line of the {table.title} since {timestamp(begin)} fits")
    data = {"lines": lines, "reached": timestamp(windows.reached), "whole": whole}
    publish(ctx, start.report("search", data), (_LAYOUTS[log],))
    return ExitCode.OK if whole else ExitCode.UNKNOWN


def _lines(
    fleet: Fleet, asked: Question, windows: Windows, show: Callable[[str], None], *, limit: int, seconds: float
) -> tuple[list[dict[str, Any]], bool]:
    """Return the lines, newest first, and whether the search was complete."""
    from obsctl.checks.ask.database import NotAskedError, SilentError, ask
    from obsctl.search.run import plain
    from obsctl.search.run import search as run

    found: list[dict[str, Any]] = []
    whole = False

    def ask_for(cursor: Any) -> None:
        nonlocal whole
        for part in run(cursor, asked, windows, limit=limit, seconds=seconds):
            whole = part.whole
            found.extend(dict(zip(asked.fields, map(plain, line), strict=True)) for line in part.lines)
            show(f"{len(found):,} lines since {timestamp(part.reached)}")

    try:
        ask(fleet, ask_for, deadline_s=seconds + _MARGIN_S)
    except (NotAskedError, SilentError) as error:
        raise ObsctlError(f"database {fleet.database.host}: {error}", hint=error.hint) from None
    return found, whole
