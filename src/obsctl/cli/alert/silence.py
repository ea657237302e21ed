"""``obsctl alert silence``: suppress messages about some alerts for a while."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from obsctl.cli.commands import Command, examples, group
from obsctl.cli.moments import duration, moment
from obsctl.cli.person import login_name
from obsctl.cli.settings import note
from obsctl.core.errors import ConfigError, ExitCode, UsageError

if TYPE_CHECKING:
    from obsctl.alerter.notify.filters import Filter, ReadFilter
    from obsctl.alerter.silences.topic import Book
    from obsctl.cli.alert.topics import Place
    from obsctl.fleet.model import Fleet

silence = group(
    "silence",
    help="Suppress messages about some alerts for a while, such as during planned work.",
    epilog=examples(
        "obsctl alert silence add client_addr:192.0.2.7 --for 2h --reason 'load test'",
        "obsctl alert silence list",
        "obsctl alert silence rm 41c02f9a77d1e0b3",
    ),
)

_Author = Annotated[str | None, typer.Option(metavar="NAME", help="Who does this (default: your login name).")]


@silence.command(
    "add",
    cls=Command,
    epilog=examples(
        "obsctl alert silence add rule:client-errors --for 2h --reason 'load test'",
        "obsctl alert silence add rule:silent-backend --until 2027-01-31 --reason x",
        "obsctl alert silence add severity:warning --for 30m --reason x --dry-run",
    ),
)
def add(
    ctx: typer.Context,
    filter_: Annotated[
        str,
        typer.Argument(
            metavar="FILTER",
            help="Which alerts, such as 'rule:client-errors AND client_addr:192.0.2.7': a filter on rule, "
            "kind, severity, incident and the rules' labels, as shown by alert list.",
        ),
    ],
    *,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; silence list shows it to others.")],
    for_: Annotated[
        timedelta | None, typer.Option("--for", metavar="SPAN", parser=duration, help="How long from now: 90m, 2h, 7d.")
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(metavar="T", parser=moment, help="Until when: 2026-01-31T06:00, in UTC without an offset."),
    ] = None,
    author: _Author = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Only show which firing alerts it would suppress; silence nothing."),
    ] = False,
) -> ExitCode:
    """Silence alerts that match a filter: no messages about them until the silence ends.

    Alerts that are still firing when it ends are then reported. The silence is written to Kafka, where each alerter
    reads it within about a second; no alerter needs to be running. It needs an end: --for or --until.
    """
    from obsctl.alerter.messages.message import utc
    from obsctl.alerter.notify import silences
    from obsctl.alerter.silences import topic as silence_topic
    from obsctl.cli.alert.tables import SILENCE_LAYOUTS
    from obsctl.cli.alert.topics import asking, topics
    from obsctl.cli.output import publish
    from obsctl.cli.reporting import Start

    if (for_ is None) == (until is None):
        raise UsageError("a silence needs an end, and only one", hint="give --for 2h, or --until 2027-01-31T06:00Z")
    start, now = Start(), time.time()
    if until is not None and until.timestamp() <= now:
        raise UsageError(f"--until is in the past: {utc(until.timestamp())}", hint="--for 2h is two hours from now")
    places = topics(ctx)
    read = _reader(places.fleet)
    _check(read, filter_)
    ends = until.timestamp() if until is not None else now + for_.total_seconds() if for_ is not None else now
    with asking(places.fleet):
        book = silence_topic.read(*places.silences)
        _note_unreadable(ctx, book, places.silences.topic)
        before = book.silences()
        after, made = silences.add(
            before, filter=filter_, ends=ends, author=author or login_name(), reason=reason, now=now, read=read
        )
        if not dry_run:
            silence_topic.write(*places.silences, before, after)
    data: dict[str, Any] = {"dry_run": dry_run, "silences": [silence_topic.as_data(made, now)]}
    if dry_run:
        with asking(places.fleet):
            data |= _would_hold_back(places.state, read(filter_))
        note(ctx, f"dry run: nothing was silenced; {_known(data)}")
    else:
        note(ctx, f"to end it before: obsctl alert silence rm {made.id}")
    publish(ctx, start.report("alert silence add", data), SILENCE_LAYOUTS)
    return ExitCode.OK


@silence.command(
    "list", cls=Command, epilog=examples("obsctl alert silence list", "obsctl alert silence list --all -o json")
)
def list_(
    ctx: typer.Context,
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Also show silences that have ended, which are kept for 30 days.")
    ] = False,
) -> ExitCode:
    """List the silences that are active or start later, ordered by their end."""
    from obsctl.alerter.notify.silences import SilenceState, listed
    from obsctl.alerter.silences import topic as silence_topic
    from obsctl.cli.alert.tables import SILENCE_LAYOUTS
    from obsctl.cli.alert.topics import asking, topics
    from obsctl.cli.output import publish
    from obsctl.cli.reporting import Start

    start, now = Start(), time.time()
    places = topics(ctx)
    with asking(places.fleet):
        book = silence_topic.read(*places.silences)
    _note_unreadable(ctx, book, places.silences.topic)
    states = list(SilenceState) if everything else [SilenceState.ACTIVE, SilenceState.PENDING]
    found = listed(book.silences(), now, states)
    if not found:
        note(ctx, "there is no silence" if everything else "no silence is in force (--all lists those that have ended)")
    data = {"silences": [silence_topic.as_data(one, now) for one in found], "unreadable": book.unreadable}
    publish(ctx, start.report("alert silence list", data), SILENCE_LAYOUTS)
    return ExitCode.OK


@silence.command("rm", cls=Command, epilog=examples("obsctl alert silence rm 41c02f9a77d1e0b3"))
def remove(
    ctx: typer.Context,
    silence_id: Annotated[str, typer.Argument(metavar="ID", help="The silence's id, as list shows it.")],
    *,
    author: _Author = None,
) -> ExitCode:
    """End a silence now; alerts that it suppressed and that are still firing are reported."""
    from obsctl.alerter.notify import silences
    from obsctl.alerter.silences import topic as silence_topic
    from obsctl.cli.alert.tables import SILENCE_LAYOUTS
    from obsctl.cli.alert.topics import asking, topics
    from obsctl.cli.output import publish
    from obsctl.cli.reporting import Start

    start, now = Start(), time.time()
    places = topics(ctx)
    with asking(places.fleet):
        before = silence_topic.read(*places.silences).silences()
        after = silences.expire(before, silence_id, author=author or login_name(), now=now)
        silence_topic.write(*places.silences, before, silences.remembered(after, now))
    ended = next(one for one in after if one.id == silence_id)
    publish(ctx, start.report("alert silence rm", {"silences": [silence_topic.as_data(ended, now)]}), SILENCE_LAYOUTS)
    return ExitCode.OK


def _reader(fleet: Fleet) -> ReadFilter:
    """Return the function that parses a filter over the alerts of the inventory's rules.

    Raises:
        ConfigError: the rules cannot be read.
    """
    from obsctl.alerter.notify import alert_filter
    from obsctl.cli.alert.rule_sources import inventory_rules

    rules = inventory_rules(fleet)
    return alert_filter.reader(dict.fromkeys(field for rule in rules for field in rule.fields))


def _check(read: ReadFilter, text: str) -> None:
    """Refuse an invalid filter, showing the place of the error.

    Raises:
        UsageError: it is invalid.
    """
    try:
        read(text)
    except ConfigError as error:
        raise UsageError(str(error), hint=error.hint) from None


def _would_hold_back(state: Place, fits: Filter) -> Mapping[str, Any]:
    """Return the firing alerts that the filter matches; None if no alerter has written its state.

    Raises:
        ConfigError: another release wrote them.
        TopicMissingError: the state's topic does not exist.
        NotAnsweredError: no broker answers.
    """
    from obsctl.alerter.history.sentences import subject
    from obsctl.alerter.state.changelog import read_rows
    from obsctl.alerter.state.standing import standing

    rows = read_rows(*state)
    if rows is None:
        return {"would_hold_back": None, "firing": None}
    alerts = [one.alert for one in standing(rows) if not one.alert.ended]
    return {
        "would_hold_back": [
            {
                "alert": subject(alert.rule, alert.labels),
                "incident": alert.incident,
                "severity": alert.severity.value,
                "rule": alert.rule,
                "labels": alert.labels,
            }
            for alert in filter(fits, alerts)
        ],
        "firing": len(alerts),
    }


def _known(data: Mapping[str, Any]) -> str:
    """Return a note about the alerts that a silence would hold back."""
    if data["would_hold_back"] is None:
        return "which alerts fire is not known: no alerter has written its state yet (obsctl health)"
    return f"it would hold back {len(data['would_hold_back'])} of the {data['firing']} alerts that fire now"


def _note_unreadable(ctx: typer.Context, book: Book, topic: str) -> None:
    for place, why in book.unreadable.items():
        note(ctx, f"the record {place} of topic {topic} is not a silence and is ignored: {why}")
