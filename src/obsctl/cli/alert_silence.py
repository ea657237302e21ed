"""``obsctl alert silence``: have no messages about some alerts for a while."""

from __future__ import annotations

import getpass
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from obsctl.cli.commands import Command, examples, group
from obsctl.cli.moments import duration, moment
from obsctl.cli.settings import note
from obsctl.core.errors import ConfigError, ExitCode, UsageError

if TYPE_CHECKING:
    from obsctl.alerter.notify.filters import Filter, ReadFilter
    from obsctl.alerter.notify.silences import Silence
    from obsctl.alerter.silence_topic import Book
    from obsctl.cli.alert_kafka import Place
    from obsctl.fleet.model import Fleet

silence = group(
    "silence",
    help="Have no messages about some alerts for a while.",
    epilog=examples(
        "obsctl alert silence add client_addr:192.0.2.7 --for 2h --reason 'load test'",
        "obsctl alert silence list",
        "obsctl alert silence rm 41c02f9a77d1e0b3",
    ),
)

_Author = Annotated[
    str | None, typer.Option(metavar="NAME", help="Who does this (default: the name that you are logged in with).")
]


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
            help="Which alerts: a filter over rule, kind, severity, incident and the labels of the rules.",
        ),
    ],
    *,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; those who wonder will read it.")],
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
        typer.Option("--dry-run", help="Only say which of the alerts that are on it would hold back; silence nothing."),
    ] = False,
) -> ExitCode:
    """Silence alerts that fit a filter: no message about them until the silence ends.

    What still fires then is sent then. It takes effect within about a second, also while no alerter runs: the silence
    is in Kafka.
    """
    from obsctl.alerter import silence_topic
    from obsctl.alerter.notify import silences
    from obsctl.alerter.tables import SILENCE_LAYOUTS
    from obsctl.cli.alert_kafka import asking, topics
    from obsctl.cli.output import publish
    from obsctl.cli.reporting import Start

    if (for_ is None) == (until is None):
        raise UsageError("a silence needs one end", hint="give --for 2h, or --until 2027-01-31T06:00Z")
    start, now = Start(), time.time()
    places = topics(ctx)
    read = _reader(places.fleet)
    _check(read, filter_)
    ends = until.timestamp() if until is not None else now + for_.total_seconds() if for_ is not None else now
    with asking(places.fleet):
        book = silence_topic.read(*places.silences)
        _note_unreadable(ctx, book, places.silences.topic)
        before = book.silences()
        after, made = silences.add(
            before, filter=filter_, ends=ends, author=author or _login(), reason=reason, now=now, read=read
        )
        if not dry_run:
            silence_topic.write(*places.silences, before, after)
    data: dict[str, Any] = {"dry_run": dry_run, "silences": [_row(made, now)]}
    if dry_run:
        data |= _would_hold_back(places.history, places.fleet, read(filter_), now)
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
        bool, typer.Option("--all", help="Also those that have ended, which are kept for 30 days.")
    ] = False,
) -> ExitCode:
    """List the silences that are in force or begin later, the one that ends first at the beginning."""
    from obsctl.alerter import silence_topic
    from obsctl.alerter.notify.silences import SilenceState, listed
    from obsctl.alerter.tables import SILENCE_LAYOUTS
    from obsctl.cli.alert_kafka import asking, topics
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
    data = {"silences": [_row(one, now) for one in found], "unreadable": book.unreadable}
    publish(ctx, start.report("alert silence list", data), SILENCE_LAYOUTS)
    return ExitCode.OK


@silence.command("rm", cls=Command, epilog=examples("obsctl alert silence rm 41c02f9a77d1e0b3"))
def remove(
    ctx: typer.Context,
    silence_id: Annotated[str, typer.Argument(metavar="ID", help="The silence's id, as list shows it.")],
    *,
    author: _Author = None,
) -> ExitCode:
    """End a silence now; what it held back and still fires is sent."""
    from obsctl.alerter import silence_topic
    from obsctl.alerter.notify import silences
    from obsctl.alerter.tables import SILENCE_LAYOUTS
    from obsctl.cli.alert_kafka import asking, topics
    from obsctl.cli.output import publish
    from obsctl.cli.reporting import Start

    start, now = Start(), time.time()
    places = topics(ctx)
    with asking(places.fleet):
        before = silence_topic.read(*places.silences).silences()
        try:
            after = silences.expire(before, silence_id, author=author or _login(), now=now)
        except UsageError as error:
            raise UsageError(str(error), hint="obsctl alert silence list shows their ids") from None
        silence_topic.write(*places.silences, before, silences.remembered(after, now))
    ended = next(one for one in after if one.id == silence_id)
    publish(ctx, start.report("alert silence rm", {"silences": [_row(ended, now)]}), SILENCE_LAYOUTS)
    return ExitCode.OK


def _reader(fleet: Fleet) -> ReadFilter:
    """Return what reads a filter over the alerts of the inventory's rules.

    Raises:
        ConfigError: the rules cannot be read.
    """
    from obsctl.alerter.notify import alert_filter
    from obsctl.alerter.rules.registry import KINDS
    from obsctl.core.config_file import InvalidValueError

    try:
        rules = KINDS.read(fleet.alert_rules, "consumer_alert_rules")
    except InvalidValueError as fault:
        raise ConfigError(
            f"the inventory's alert rules: {fault.key}: {fault}",
            hint=fault.hint or f"{fleet.playbook('preflight')} names what is wrong",
        ) from None
    return alert_filter.reader(dict.fromkeys(field for rule in rules for field in rule.fields))


def _check(read: ReadFilter, text: str) -> None:
    """Refuse a text that is no filter, with its place.

    Raises:
        UsageError: it is none.
    """
    try:
        read(text)
    except ConfigError as error:
        raise UsageError(str(error), hint=error.hint) from None


def _would_hold_back(history: Place, fleet: Fleet, fits: Filter, now: float) -> Mapping[str, Any]:
    """Return the alerts that are on and that the filter takes, as far as the history knows; None without a history."""
    from obsctl.alerter.history import reading
    from obsctl.alerter.history.sentences import subject
    from obsctl.alerter.history.story import firing
    from obsctl.cli.alert_kafka import asking
    from obsctl.kafka.topic_log import TopicMissingError

    with asking(fleet):
        try:
            alerts, whole = firing(reading.Past(*history, now - reading.KEPT_S))
        except TopicMissingError:
            return {"would_hold_back": None, "firing": None, "history_whole": False}
    held = [alert for alert in alerts if fits(alert)]
    return {
        "would_hold_back": [
            {
                "alert": subject(alert.rule, alert.labels),
                "incident": alert.incident,
                "severity": alert.severity.value,
                "rule": alert.rule,
                "labels": alert.labels,
            }
            for alert in held
        ],
        "firing": len(alerts),
        "history_whole": whole,
    }


def _known(data: Mapping[str, Any]) -> str:
    """Return what is known of the alerts that a silence would hold back."""
    if data["would_hold_back"] is None:
        return "which alerts are on is not known: there is no topic of the history"
    found = f"it would hold back {len(data['would_hold_back'])} of {data['firing']} alerts that are on"
    return found if data["history_whole"] else f"{found}, and the history has gaps: there may be others"


def _row(one: Silence, now: float) -> dict[str, Any]:
    from obsctl.alerter.message import utc

    return {
        "id": one.id,
        "state": one.state(now).value,
        "filter": one.filter,
        "starts": utc(one.starts),
        "ends": utc(one.ends),
        "author": one.author,
        "reason": one.reason,
        "created": utc(one.created),
        "ended_by": one.ended_by or None,
    }


def _login() -> str:
    """Return the name of the person at the terminal.

    Raises:
        UsageError: the system does not know it.
    """
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        raise UsageError("this account has no name", hint="give one with --author") from None


def _note_unreadable(ctx: typer.Context, book: Book, topic: str) -> None:
    for place, why in book.unreadable.items():
        note(ctx, f"the record {place} of topic {topic} is no silence and counts for nothing: {why}")
