"""``obsctl alert rules replay``: what alert rules would have sent for past lines."""

from __future__ import annotations

import enum
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from obsctl.cli.alert.rule_sources import A_FILE_OF_RULES, rules_of_file, standard_input
from obsctl.cli.commands import Command, examples
from obsctl.cli.lines import line_reader
from obsctl.cli.moments import moment
from obsctl.cli.settings import note, now_and_then
from obsctl.core.errors import ConfigError, ExitCode, UsageError

if TYPE_CHECKING:
    from obsctl.alerter.replay.from_files import Unreadable
    from obsctl.alerter.replay.run import Replayed
    from obsctl.alerter.replay.topic_plan import Plan, Wanted
    from obsctl.alerter.rules.rule import Rule
    from obsctl.alerter.rules_file import Entry
    from obsctl.fleet.model import Fleet
    from obsctl.kafka.stretches import Stretch
    from obsctl.lines.line_reader import LineReader

_RANGE = re.compile(
    r"(?P<topic>[A-Za-z0-9._-]+)(:(?P<part>[0-9]{1,9}))?(:(?P<first>[0-9]{1,18})-(?P<last>[0-9]{0,18}))?"
)


class LogFormat(enum.StrEnum):
    """The formats of lines."""

    JSON = "json"
    COMBINED = "combined"
    ERROR = "error"


def topic_range(text: str) -> Wanted:
    """Parse an option's range of a topic: ``TOPIC``, ``TOPIC:FROM-TO``, ``TOPIC:PARTITION`` or with both.

    Raises:
        BadParameter: it has another form, or ends before it begins.
    """
    from obsctl.alerter.replay.topic_plan import Wanted

    read = _RANGE.fullmatch(text)
    if read is None:
        raise typer.BadParameter(
            f"{text!r} is not a range (nginxlog:0:1000-2000, nginxlog:1000-2000, nginxlog:0, nginxlog)"
        )
    part, first, last = (int(read[name]) if read[name] else None for name in ("part", "first", "last"))
    if first is not None and last is not None and last < first:
        raise typer.BadParameter(f"{text!r} ends before it begins: both offsets are inclusive")
    return Wanted(read["topic"], part, first, last)


def replay_rules(
    ctx: typer.Context,
    logs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[LOG]...", help="Log files of nginx, plain or gzipped; - for standard input."),
    ] = None,
    *,
    rules_file: Annotated[
        Path | None,
        typer.Option("--rules", metavar="FILE", help=f"{A_FILE_OF_RULES} (default: the inventory's rules)."),
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(metavar="T", parser=moment, help="Read lines from Kafka that were written at T or later."),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(metavar="T", parser=moment, help="With --since: end at T (default: now)."),
    ] = None,
    ranges: Annotated[
        list[Any] | None,
        typer.Option(
            "--topic-range",
            metavar="RANGE",
            parser=topic_range,
            help="Read these offsets from Kafka: TOPIC:PARTITION:FROM-TO, both inclusive; without "
            "PARTITION from all partitions, without FROM-TO all records; repeatable.",
        ),
    ] = None,
    log_format: Annotated[
        LogFormat | None,
        typer.Option(
            metavar="FORMAT",
            help="Format of all log files: json, combined or error (default: detected from their first lines).",
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Host that wrote the logs (default: a host named after each file)."),
    ] = None,
) -> ExitCode:
    """Show what alert rules would have sent for past lines, from Kafka or from log files; sends nothing.

    T is a time (2026-01-31T12:00, in UTC without an offset) or an age: 90m, 24h, 7d. The clock follows the lines'
    timestamps, and messages go through the default stages: one route, no silences, no mute windows. -o wide lists each
    condition and each message.
    """
    from obsctl.cli.alert.tables import REPLAY_LAYOUTS
    from obsctl.cli.checking import load_fleet
    from obsctl.cli.output import publish
    from obsctl.cli.reporting import Start

    start = Start()
    _check_source(logs, since, until, ranges)
    if (log_format or host) and not logs:
        raise UsageError("--log-format and --host apply only to log files: records in Kafka contain both")
    if [str(path) for path in (rules_file, *(logs or ()))].count("-") > 1:
        raise UsageError("standard input can be read only once", hint="give - for --rules or for one LOG")
    fleet = load_fleet(ctx) if rules_file is None or not logs else None
    chosen, left_out = _rules(ctx, rules_file, fleet)
    if logs:
        found = _from_logs(ctx, logs, chosen, log_format, host)
    else:
        assert fleet is not None  # noqa: S101 - read above
        reader = line_reader(fleet)
        plan = _plan(fleet, chosen, since, until or start.at, ranges or ())
        found = _from_topics(ctx, fleet, chosen, plan, reader)
    replayed = found.replayed
    totals = {
        "lines": found.lines,
        "unreadable": sum(bad.lines for bad in found.unreadable),
        "late": replayed.late,
        "ahead": replayed.ahead + found.ahead,
        "repeated": replayed.repeated,
        "first": replayed.first,
        "last": replayed.last,
        "messages": len(replayed.messages),
    }
    data = {
        "totals": totals,
        "rules": replayed.rules,
        "left_out": left_out,
        "conditions": replayed.conditions,
        "messages": replayed.messages,
        "unreadable": found.unreadable,
        "ranges": [str(stretch) for stretch in found.read],
        "gone": [str(stretch) for stretch in found.gone],
    }
    for bad in found.unreadable:
        note(ctx, f"{bad.log}:{bad.first}: {_unreadable(bad.lines)}{f': {bad.reason}' if bad.reason else ''}")
    _note_not_counted(ctx, totals)
    publish(ctx, start.report("alert rules replay", msgspec.to_builtins(data)), REPLAY_LAYOUTS)
    return ExitCode.OK


def register(rules: typer.Typer) -> None:
    """Add the command to its group."""
    rules.command(
        "replay",
        cls=Command,
        epilog=examples(
            "obsctl alert rules replay --since 24h",
            "obsctl alert rules replay --since 7d --until 6d --rules rules.yml -o wide",
            "obsctl alert rules replay --topic-range nginxlog:0:1000-2000",
            "obsctl alert rules replay access.log error.log.gz --rules rules.yml",
        ),
    )(replay_rules)


@dataclass
class _Found:
    """The result of a replay, and which lines were read.

    Attributes:
        replayed: what the rules would have sent.
        lines: that were read.
        unreadable: logs or partitions with lines that are left out.
        ahead: lines that were left out before the rules saw them, because their time is in the future.
        read: what was read from Kafka.
        gone: what is missing in Kafka.
    """

    replayed: Replayed
    lines: int
    unreadable: Sequence[Unreadable]
    ahead: int = 0
    read: Sequence[Stretch] = ()
    gone: Sequence[Stretch] = ()


def _check_source(
    logs: list[Path] | None, since: datetime | None, until: datetime | None, ranges: list[Wanted] | None
) -> None:
    """Refuse a command line that has no source of lines, or several kinds of sources.

    Raises:
        UsageError: it does.
    """
    given = [name for name, value in (("LOG", logs), ("--since", since), ("--topic-range", ranges)) if value]
    if not given:
        raise UsageError(
            "no lines to replay were given",
            hint="give --since 24h for lines in Kafka, or log files: obsctl alert rules replay access.log",
        )
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} exclude each other: lines are read from one source")
    if until is not None and since is None:
        raise UsageError("--until needs --since")
    if since is not None and since >= (until or datetime.now(UTC)):
        raise UsageError("--since must be before --until, which is now by default: no line can be between them")


def _rules(ctx: typer.Context, file: Path | None, fleet: Fleet | None) -> tuple[list[Rule], list[str]]:
    """Return the rules that can be replayed, and the names of the others.

    Raises:
        ConfigError: they cannot be read, or there are none.
    """
    from obsctl.alerter.rules_file import complete_rules
    from obsctl.cli.alert.rule_sources import some_inventory_rules

    open_: list[Entry] = []
    if file is not None:
        entries = rules_of_file(file)
        found = complete_rules(file, entries)
        open_ = [entry for entry in entries if entry.rule is None]
    else:
        assert fleet is not None  # noqa: S101 - it is read where no file is given
        found = some_inventory_rules(fleet)
    for entry in open_:
        note(ctx, f"left out: {entry.name}: {', '.join(entry.open)} is Jinja text, which the playbook fills in")
    numbers = [rule.name for rule in found if rule.log is None]
    if numbers:
        note(ctx, f"left out: {', '.join(numbers)}: about the pipeline's own numbers, which are in no line")
    return [rule for rule in found if rule.log is not None], [entry.name for entry in open_] + numbers


def _from_logs(
    ctx: typer.Context, logs: Sequence[Path], chosen: Sequence[Rule], log_format: LogFormat | None, host: str | None
) -> _Found:
    from obsctl.alerter.messages.message import utc
    from obsctl.alerter.replay.from_files import read_logs
    from obsctl.alerter.replay.run import Read, replay

    say = now_and_then(ctx)
    recorded = read_logs(
        logs, log_format.value if log_format else None, host=host, standard_input=standard_input, progress=say
    )
    if log_format is None:
        for path, found in zip(logs, recorded.formats, strict=True):
            note(ctx, f"{path}: {f'read as {found}' if found else 'no line of a known format'}")
    every = len(recorded.events)
    replayed = replay(
        chosen,
        (Read(event.time, event) for event in recorded.events),
        lambda lines, second: say(f"{lines:,} of {every:,} lines replayed, until {utc(second)}"),
    )
    return _Found(replayed, recorded.lines, recorded.unreadable)


def _plan(
    fleet: Fleet, chosen: Sequence[Rule], since: datetime | None, until: datetime, ranges: Sequence[Wanted]
) -> Plan:
    from obsctl.alerter.replay.topic_plan import plan_ranges, plan_since
    from obsctl.cli.alert.topics import asking, brokers_of
    from obsctl.core.nearest import did_you_mean
    from obsctl.kafka.topic_log import TopicMissingError

    brokers = brokers_of(fleet)
    topics = _topics(fleet, chosen) if since is not None else []
    with asking(fleet):
        if since is None:
            try:
                return plan_ranges(brokers, ranges)
            except TopicMissingError as error:
                # The person named these topics, so the inventory's playbook would not create them.
                known = [topic.name for topic in fleet.kafka.topics]
                typed = [one.topic for one in ranges if one.topic not in known]
                hint = did_you_mean(typed, known, "obsctl kafka topics lists the topics")
                raise ConfigError(str(error), hint=hint) from None
        return plan_since(brokers, topics, since.timestamp(), until.timestamp())


def _from_topics(ctx: typer.Context, fleet: Fleet, chosen: Sequence[Rule], plan: Plan, reader: LineReader) -> _Found:
    from obsctl.alerter.messages.message import utc
    from obsctl.alerter.replay.from_topics import TopicLines
    from obsctl.alerter.replay.run import replay
    from obsctl.cli.alert.topics import asking

    _note_plan(ctx, plan)
    lines = TopicLines(fleet.brokers(), plan, reader, time.time())
    say, reached = now_and_then(ctx), plan.since

    def progress() -> None:
        until = "" if reached is None else f", until {utc(reached)}"
        say(f"{lines.records:,} of {plan.records:,} records read{until}")

    def replayed_until(_lines: int, second: int) -> None:
        nonlocal reached
        reached = second
        progress()

    with asking(fleet):
        replayed = replay(chosen, lines.merged(progress), replayed_until, since=plan.since, until=plan.until)
    for stretch in lines.gone[len(plan.gone) :]:
        note(ctx, _gone(stretch))
    return _Found(replayed, lines.lines, list(lines.unreadable.values()), lines.ahead, plan.stretches, lines.gone)


def _topics(fleet: Fleet, chosen: Sequence[Rule]) -> list[str]:
    """Return the topics with the lines for some rules.

    Raises:
        ConfigError: the inventory does not name them.
    """
    from obsctl.alerter.rules.rule import Log

    topics = {Log.ACCESS: fleet.alerter.access_topic, Log.ERROR: fleet.alerter.error_topic}
    found = [topic for log, topic in topics.items() if any(rule.log is log for rule in chosen)]
    if not all(found):
        raise ConfigError(
            "the fleet document does not name the topics of the lines: an earlier release wrote it, or the "
            "inventory has no host in the group consumer",
            hint=f"{fleet.playbook('consumer')} writes /etc/obsctl/fleet.json again; --topic-range names topics itself",
        )
    if not found:
        raise ConfigError("none of the rules evaluates lines", hint="obsctl alert rules check FILE shows their kinds")
    return found


def _note_plan(ctx: typer.Context, plan: Plan) -> None:
    for stretch in plan.gone:
        note(ctx, _gone(stretch))
    if plan.stretches:
        topics = ", ".join(dict.fromkeys(stretch.part.topic for stretch in plan.stretches))
        note(ctx, f"reading {plan.records:,} records of {topics} ({len(plan.stretches)} partitions)")
    else:
        note(ctx, "nothing was written in this time")


def _gone(stretch: Stretch) -> str:
    return f"offsets {stretch.first}-{stretch.end - 1} of {stretch.part} were deleted by retention: lines are missing"


def _note_not_counted(ctx: typer.Context, totals: dict[str, Any]) -> None:
    """Note which lines did not count, as they would not have counted in an alerter."""
    if totals["late"]:
        note(ctx, f"{totals['late']:,} lines stand more than 5 minutes after later ones and do not count (late)")
    if totals["ahead"]:
        note(ctx, f"{totals['ahead']:,} lines are of a clock that was a minute or more ahead, and do not count (ahead)")
    if totals["repeated"]:
        note(ctx, f"{totals['repeated']:,} lines were shipped twice and count once (repeated)")


def _unreadable(lines: int) -> str:
    if lines == 1:
        return "cannot be read and is left out"
    return f"the first of {lines:,} lines that cannot be read and are left out"
