"""``obsctl alert list``, ``history``, ``why`` and ``tail``: what fires, what was decided, and the results."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from obsctl.cli import completion
from obsctl.cli.commands import Command, examples
from obsctl.cli.moments import moment
from obsctl.cli.settings import Output, note, settings
from obsctl.core.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from obsctl.alerter.history.records import AnyRecord
    from obsctl.fleet.model import Fleet

_DAY = timedelta(days=1)


def list_alerts(
    ctx: typer.Context,
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Also show alerts that ended within the last hour or so.")
    ] = False,
    rule: Annotated[
        str | None, typer.Option(metavar="NAME", autocompletion=completion.rules, help="Only this rule's alerts.")
    ] = None,
) -> ExitCode:
    """Show the alerts that are firing, and what suppresses those that sent no message.

    The alerters keep their state in Kafka, so this also works while no alerter is running: it then shows what the
    last one wrote.
    """
    from obsctl.alerter.state.changelog import read_rows
    from obsctl.alerter.state.standing import as_data, standing
    from obsctl.cli.alert.tables import LIST_LAYOUTS
    from obsctl.cli.alert.topics import asking, topics
    from obsctl.cli.output import publish
    from obsctl.cli.reporting import Start

    start = Start()
    places = topics(ctx)
    _note_unknown(ctx, places.fleet, rule)
    with asking(places.fleet):
        rows = read_rows(*places.state)
    if rows is None:
        note(ctx, "no alerter has written its state yet: obsctl health shows whether one runs")
    found = [
        as_data(one)
        for one in standing(rows or ())
        if (everything or not one.alert.ended) and rule in {None, one.alert.rule}
    ]
    if not found:
        note(ctx, "no alert fires" if not everything else "no alert is known")
    publish(ctx, start.report("alert list", {"alerts": found}), LIST_LAYOUTS)
    return ExitCode.OK


def history(
    ctx: typer.Context,
    *,
    since: Annotated[
        datetime | None,
        typer.Option(metavar="T", parser=moment, help="Show what happened at T or later (default: 24h)."),
    ] = None,
    rule: Annotated[
        str | None,
        typer.Option(metavar="NAME", autocompletion=completion.rules, help="Only what is about this rule's alerts."),
    ] = None,
    limit: Annotated[
        int,
        typer.Option(min=1, metavar="N", show_default=False, help="Show at most the latest N records (default: 200)."),
    ] = 200,
) -> ExitCode:
    """Show what the alerters decided and what resulted: starts, ends, suppressed alerts, messages, deliveries.

    The history is in Kafka and is kept for 30 days, so this also works while no alerter is running. T is a time
    (2026-01-31T12:00, in UTC without an offset) or an age: 90m, 24h, 7d.
    """
    from obsctl.alerter.history.sentences import row
    from obsctl.alerter.history.story import of_rule
    from obsctl.alerter.history.topic import Past
    from obsctl.cli.alert.tables import HISTORY_LAYOUTS
    from obsctl.cli.alert.topics import asking, topics
    from obsctl.cli.output import publish
    from obsctl.cli.reporting import Start

    start = Start()
    places = topics(ctx)
    _note_unknown(ctx, places.fleet, rule)
    begin = since or datetime.now(UTC) - _DAY
    past, count = Past(*places.history, begin.timestamp()), 0
    found: deque[AnyRecord] = deque(maxlen=limit)
    with asking(places.fleet):
        for record in of_rule(past, rule):
            found.append(record)
            count += 1
    left_out = count - len(found)
    if left_out:
        note(ctx, f"{left_out:,} earlier records are not shown (--limit {limit})")
    if not found:
        note(ctx, "nothing was recorded in this time")
    _note_unreadable(ctx, past.unreadable)
    data = {
        "records": [row(record) for record in sorted(found, key=lambda record: record.at)],
        "left_out": left_out,
        "unreadable": past.unreadable,
    }
    publish(ctx, start.report("alert history", data), HISTORY_LAYOUTS)
    return ExitCode.OK


def why(
    ctx: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="An alert's incident, as shown by alert list, or the thread of a group's messages, as shown by alert "
            "history -o wide.",
        ),
    ],
) -> ExitCode:
    """Show everything about one alert: when it started, what suppressed it, which messages were sent and delivered.

    Reads the history of the last 30 days, and says what happens next, if that is known.
    """
    from obsctl.alerter.history.as_data import as_data
    from obsctl.alerter.history.sentences import because
    from obsctl.alerter.history.story import Relevant, incidents_of, next_step, story
    from obsctl.alerter.history.topic import KEPT_S, Past
    from obsctl.alerter.messages.message import utc
    from obsctl.alerter.silences import topic as silence_topic
    from obsctl.cli.alert.tables import WHY_LAYOUTS
    from obsctl.cli.alert.topics import asking, topics
    from obsctl.cli.output import publish
    from obsctl.cli.reporting import Start
    from obsctl.kafka.topic_log import TopicMissingError

    start, now = Start(), time.time()
    places = topics(ctx)
    with asking(places.fleet):
        past = Past(*places.history, now - KEPT_S)
        records = list(filter(Relevant({name}).takes, past))
        if incidents := incidents_of(records, name):
            # For the thread of a group, also read what happened to the alerts that its messages name.
            past = Past(*places.history, now - KEPT_S)
            records = list(filter(Relevant(incidents).takes, past))
        try:
            silences = silence_topic.read(*places.silences).silences()
        except TopicMissingError:
            silences = ()
    _note_unreadable(ctx, past.unreadable)
    found = story(sorted(records, key=lambda record: record.at), name)
    if found is None:
        raise UsageError(
            f"the history of the last 30 days has no incident or thread {name!r}",
            hint="obsctl alert history -o wide shows their names",
        )
    if found.gaps:
        note(ctx, f"{found.gaps:,} records of this time are missing: too much happened at once, or Kafka was down")
    held, step = found.held_back_now, next_step(found, silences, now)
    if held is not None:
        note(ctx, f"held back since {utc(held.at)}: {because(held.stage, held.cause)}")
    if step:
        note(ctx, f"next: {step}")
    publish(ctx, start.report("alert why", as_data(found, name, step)), WHY_LAYOUTS)
    return ExitCode.OK


def tail(
    ctx: typer.Context,
    *,
    since: Annotated[
        datetime | None, typer.Option(metavar="T", parser=moment, help="Start at T (default: now).")
    ] = None,
    rule: Annotated[
        str | None,
        typer.Option(metavar="NAME", autocompletion=completion.rules, help="Only what is about this rule's alerts."),
    ] = None,
) -> ExitCode:
    """Follow what the alerters decide and what results, until Ctrl-C.

    Prints one line for each event; with -o ndjson, one JSON object. T is a time (2026-01-31T12:00, in UTC without an
    offset) or an age: 90m, 24h, 7d.
    """
    from obsctl.alerter.history.story import of_rule
    from obsctl.alerter.history.topic import follow
    from obsctl.cli.alert.topics import asking, topics

    line = _line(settings(ctx).output)
    places = topics(ctx)
    _note_unknown(ctx, places.fleet, rule)
    begin = (since or datetime.now(UTC)).timestamp()
    with asking(places.fleet):
        for record in of_rule(follow(*places.history, begin), rule):
            typer.echo(line(record))
    return ExitCode.OK


def register(alert: typer.Typer) -> None:
    """Add the commands to their group."""
    alert.command(
        "list",
        cls=Command,
        epilog=examples("obsctl alert list", "obsctl alert list --all -o wide", "obsctl alert list -o json"),
    )(list_alerts)
    alert.command(
        "history",
        cls=Command,
        epilog=examples(
            "obsctl alert history",
            "obsctl alert history --since 7d --rule client-errors",
            "obsctl alert history -o wide",
        ),
    )(history)
    alert.command(
        "why", cls=Command, epilog=examples("obsctl alert why 9f86d081884c", "obsctl alert why 9f86d081884c -o json")
    )(why)
    alert.command("tail", cls=Command, epilog=examples("obsctl alert tail", "obsctl alert tail --since 1h -o ndjson"))(
        tail
    )


def _note_unknown(ctx: typer.Context, fleet: Fleet, rule: str | None) -> None:
    """Note that a rule is not in the inventory; the history may have records of a former rule."""
    from obsctl.core.nearest import did_you_mean

    if rule is not None and rule not in fleet.rule_names:
        hint = did_you_mean(rule, fleet.rule_names, "what is shown is of an earlier one")
        note(ctx, f"the inventory has no rule {rule}: {hint}")


def _line(output: Output) -> Callable[[AnyRecord], str]:
    """Return the function that formats a record as a line.

    Raises:
        UsageError: the format needs a complete report.
    """
    import json

    from obsctl.alerter.history.sentences import row
    from obsctl.render.plain import plain

    def ndjson(record: AnyRecord) -> str:
        return json.dumps(row(record), ensure_ascii=False, separators=(",", ":"))

    def text(record: AnyRecord) -> str:
        shown = row(record)
        return plain(f"{shown['at']}  {shown['event']:9}  {shown['text']}").replace("\n", " ")

    if output is Output.NDJSON:
        return ndjson
    if output in (Output.TABLE, Output.WIDE):
        return text
    raise UsageError(
        f"alert tail does not end, and {output.value} needs complete data",
        hint="use -o ndjson, or obsctl alert history",
    )


def _note_unreadable(ctx: typer.Context, number: int) -> None:
    if number:
        note(
            ctx, f"{number:,} records are from another version of obsctl, or are not history records, and are left out"
        )
