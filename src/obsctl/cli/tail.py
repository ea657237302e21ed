"""``obsctl tail``: lines that fit a filter, as they arrive in Kafka."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from obsctl.cli.commands import Command, alone, examples
from obsctl.cli.lines import Filter, Log, OfLog, line_reader
from obsctl.cli.moments import moment
from obsctl.cli.settings import Output, note, settings
from obsctl.core.errors import ConfigError, ExitCode, UsageError

if TYPE_CHECKING:
    from obsctl.fleet.model import Fleet
    from obsctl.lines.formats.line import Line

tail = alone()

#: How long one poll waits for lines, seconds.
_WAIT_S = 0.2


@tail.command(
    "tail",
    cls=Command,
    epilog=examples(
        "obsctl tail", "obsctl tail 'status:>=500'", "obsctl tail 'level:>=warn' --log error --since 5m -o ndjson"
    ),
)
def tail_lines(
    ctx: typer.Context,
    text: Filter = "*",
    *,
    log: OfLog = Log.ACCESS,
    since: Annotated[
        datetime | None, typer.Option(metavar="T", parser=moment, help="Start at T (default: now).")
    ] = None,
) -> ExitCode:
    """Follow the lines that fit FILTER, as they arrive in Kafka, until Ctrl-C.

    FILTER is written as in alert rules: see docs/reference/query-language.md. Prints one line for each; with -o ndjson,
    one JSON object with all fields. T is a time (2026-01-31T12:00, in UTC without an offset) or an age: 90m, 24h, 7d.
    Requests of obsctl itself and of tests of rules are left out.
    """
    from obsctl.cli.alert.topics import asking
    from obsctl.cli.checking import load_fleet
    from obsctl.query.parse import parse
    from obsctl.query.predicate import compile_predicate

    shown = _shown(settings(ctx).output, log)
    fits = compile_predicate(parse(text, log.table), log.table)
    fleet = load_fleet(ctx)
    note(ctx, f"following the {log.table.title} until Ctrl-C")
    with asking(fleet):
        for line in _lines(fleet, log, since):
            if fits(line):
                typer.echo(shown(line))
    return ExitCode.OK


def _lines(fleet: Fleet, log: Log, since: datetime | None) -> Iterator[Line]:
    """Yield the lines of a topic from a given time on, endlessly.

    Raises:
        ConfigError: the fleet document does not name the topic.
        NotAnsweredError: Kafka does not answer, or does not let us read.
    """
    from obsctl.cli.alert.topics import brokers_of
    from obsctl.kafka.topic_log import END, TopicLog

    topic = fleet.alerter.access_topic if log is Log.ACCESS else fleet.alerter.error_topic
    if not topic:
        raise ConfigError(
            "the fleet document does not name the topics of the lines: an earlier release wrote it, or the inventory "
            "has no host in the group consumer",
            hint=f"{fleet.playbook('consumer')} writes /etc/obsctl/fleet.json again",
        )
    reader = line_reader(fleet)
    records = TopicLog(brokers_of(fleet), topic, "obsctl-tail", since=since.timestamp() if since else END)
    try:
        while True:
            for record in records.poll(_WAIT_S):
                line = reader.line(record.value or b"")
                if line is not None:
                    yield line
    finally:
        records.close()


def _shown(output: Output, log: Log) -> Callable[[Any], str]:
    """Return the function that formats a line for a terminal, or as NDJSON.

    Raises:
        UsageError: the format needs a complete report.
    """
    from obsctl.lines.formats.line import ABSENT
    from obsctl.query.fields import time_of
    from obsctl.render.plain import plain

    def ndjson(line: Line) -> str:
        return json.dumps(log.table.values_of(line), ensure_ascii=False, separators=(",", ":"))

    def access(line: Any) -> str:
        took = "" if line.request_time is ABSENT else f"  {line.request_time:.3f} s"
        return f"{line.client_addr}  {line.status}  {line.method} {line.uri}{took}"

    def error(line: Any) -> str:
        return f"{line.level:6}  {line.message}"

    own = access if log is Log.ACCESS else error
    if output is Output.NDJSON:
        return ndjson
    if output in {Output.TABLE, Output.WIDE}:
        return lambda line: plain(f"{time_of(line)}  {line.host}  {own(line)}").replace("\n", " ")
    raise UsageError(
        f"tail does not end, and {output.value} needs complete data", hint="use -o ndjson, or obsctl search"
    )
