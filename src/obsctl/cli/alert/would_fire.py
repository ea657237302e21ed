"""``obsctl alert would-fire``: when one rule would have fired for stored lines, as it is or changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from obsctl.cli import completion
from obsctl.cli.commands import Command, examples
from obsctl.cli.moments import duration, moment
from obsctl.cli.settings import note
from obsctl.core.errors import ExitCode, ObsctlError, UsageError

if TYPE_CHECKING:
    from obsctl.alerter.history.starts import Starts
    from obsctl.alerter.replay.would_fire import Outcome, Question
    from obsctl.alerter.rules.rule import Rule
    from obsctl.fleet.model import Fleet

_DAY = timedelta(days=1)
#: Additional time limit for connecting and the last statement, and time limit for the history, seconds.
_MARGIN_S = 30.0
_HISTORY_S = 20.0


def would_fire(
    ctx: typer.Context,
    name: Annotated[
        str,
        typer.Argument(metavar="RULE", autocompletion=completion.rules, help="A rule of the inventory."),
    ],
    *,
    since: Annotated[
        datetime | None, typer.Option(metavar="T", parser=moment, help="Start at T (default: 24h).")
    ] = None,
    until: Annotated[datetime | None, typer.Option(metavar="T", parser=moment, help="End at T (default: now).")] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            metavar="N",
            help="Evaluate it with this limit instead of its own (threshold, share, factor or above).",
        ),
    ] = None,
    window: Annotated[
        timedelta | None,
        typer.Option(metavar="SPAN", parser=duration, help="Evaluate it with this window instead of its own: 30s, 5m."),
    ] = None,
    seconds: Annotated[
        float,
        typer.Option(
            "--timeout",
            min=1,
            max=3600,
            metavar="SECONDS",
            show_default=False,
            help="Stop reading after this time (default: 120).",
        ),
    ] = 120.0,
) -> ExitCode:
    """Show when RULE would have fired for the lines in the database, beside when it really did; sends nothing.

    Evaluates the stored lines with the alerter's own engine, in the order of their times. T is a time
    (2026-01-31T12:00, in UTC without an offset) or an age: 90m, 24h, 7d. Exits with 3 when the time did not suffice.
    """
    from obsctl.alerter.replay.would_fire import Question
    from obsctl.cli.alert.tables import WOULD_FIRE_LAYOUTS
    from obsctl.cli.checking import load_fleet
    from obsctl.cli.output import publish
    from obsctl.cli.reporting import Start

    start, now = Start(), datetime.now(UTC)
    end = min(until or now, now)
    begin = since or end - _DAY
    if begin >= end:
        raise UsageError("--since must be before --until, which is now by default: no line can be between them")
    fleet = load_fleet(ctx)
    rule = _rule(fleet, name, threshold, None if window is None else round(window.total_seconds()))
    outcome = _outcome(ctx, fleet, Question(rule, begin, end, seconds))
    history = _history(ctx, fleet, outcome)
    reached = f"it was evaluated from {outcome.begin} to {outcome.end}" if outcome.begin else "nothing was evaluated"
    if outcome.too_many:
        note(ctx, f"stopped after {outcome.fires:,} conditions: {reached}; try a higher --threshold")
    elif not outcome.whole:
        note(ctx, f"stopped after {seconds:g} s: {reached}; --timeout {min(seconds * 4, 3600):.0f} reads for longer")
    if outcome.late:
        note(ctx, f"{outcome.late:,} lines were stored 5 minutes and more after they were written; they count here")
    data = {
        "result": {
            **{key: value for key, value in msgspec.to_builtins(outcome).items() if key != "conditions"},
            "recorded": None if history is None else history.fires,
        },
        "conditions": msgspec.to_builtins(outcome.conditions),
        "recorded": [] if history is None else msgspec.to_builtins(history.alerts),
        "recorded_whole": None if history is None else history.whole,
    }
    publish(ctx, start.report("alert would-fire", data), WOULD_FIRE_LAYOUTS)
    return ExitCode.OK if outcome.whole else ExitCode.UNKNOWN


def register(alert: typer.Typer) -> None:
    """Add the command to its group."""
    alert.command(
        "would-fire",
        cls=Command,
        epilog=examples(
            "obsctl alert would-fire client-errors",
            "obsctl alert would-fire client-errors --threshold 50 --window 60s",
            "obsctl alert would-fire client-errors --since 7d --timeout 600 -o json",
        ),
    )(would_fire)


def _rule(fleet: Fleet, name: str, threshold: float | None, window_s: int | None) -> Rule:
    """Return the rule as it is to be evaluated.

    Raises:
        ConfigError: the inventory's rules cannot be read, or there are none.
        UsageError: there is no such rule, the options are not possible for it, or stored lines cannot show whether it
            would have fired.
    """
    from obsctl.alerter.replay.would_fire import altered, why_not
    from obsctl.cli.alert.rule_sources import some_inventory_rules
    from obsctl.core.config_file import InvalidValueError
    from obsctl.core.nearest import did_you_mean

    rules = {rule.name: rule for rule in some_inventory_rules(fleet)}
    if name not in rules:
        hint = did_you_mean(name, rules, f"there are {', '.join(rules)}")
        raise UsageError(f"the inventory has no rule {name}", hint=hint)
    try:
        rule = altered(rules[name], limit=threshold, window_s=window_s)
    except InvalidValueError as fault:
        option = "--window" if fault.key == "window_s" else "--threshold"
        raise UsageError(f"{option}: {name}: {fault.key}: {fault}", hint=fault.hint) from None
    if reason := why_not(rule):
        raise UsageError(f"{name} cannot be evaluated over stored lines: {reason}")
    return rule


def _outcome(ctx: typer.Context, fleet: Fleet, asked: Question) -> Outcome:
    from obsctl.alerter.messages.message import utc
    from obsctl.alerter.replay.run import result_of
    from obsctl.alerter.replay.would_fire import would_fire as evaluation
    from obsctl.checks.ask.database import NotAskedError, SilentError, ask
    from obsctl.cli.progress import live_line

    with live_line(ctx) as show:

        def evaluated(cursor: Any) -> Outcome:
            return result_of(
                evaluation(cursor, asked),
                lambda position: show(f"{position.lines:,} lines evaluated, until {utc(position.second)}"),
            )

        try:
            return ask(fleet, evaluated, deadline_s=asked.seconds + _MARGIN_S)
        except (NotAskedError, SilentError) as error:
            raise ObsctlError(f"database {fleet.database.host}: {error}", hint=error.hint) from None


def _history(ctx: typer.Context, fleet: Fleet, outcome: Outcome) -> Starts | None:
    """Return when alerts of the rule really started; None, with a note to the person, if that is not available."""
    from obsctl.alerter.history.starts import EARLIER_S, starts
    from obsctl.alerter.history.topic import Past
    from obsctl.cli.alert.topics import asking, topics

    if outcome.begin is None or outcome.end is None:
        return None
    begin, end = (datetime.fromisoformat(text).timestamp() for text in (outcome.begin, outcome.end))
    try:
        place = topics(ctx).history
        with asking(fleet):
            past = Past(*place, begin - EARLIER_S)
            return starts(past, outcome.rule, begin, end, seconds=_HISTORY_S)
    except ObsctlError as error:
        note(ctx, f"when it really fired is not known: {error}")
        return None
