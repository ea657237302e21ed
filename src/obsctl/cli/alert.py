"""``obsctl alert``: prove that alerts arrive, silence them, ask why, and look at rules before they wake anybody."""

from __future__ import annotations

import enum
import json
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import msgspec
import typer

from obsctl.cli.alert_record import register
from obsctl.cli.alert_silence import silence
from obsctl.cli.commands import Command, examples, group
from obsctl.cli.settings import note
from obsctl.core.errors import ConfigError, ExitCode, UsageError

if TYPE_CHECKING:
    from obsctl.alerter.rules_file import Entry
    from obsctl.alerter.templates import Templates
    from obsctl.fleet.model import Fleet

alert = group(
    "alert",
    help="Prove that alerts arrive, silence them, see why, and look at rules before they wake anybody.",
    epilog=examples(
        "obsctl alert test",
        "obsctl alert history",
        "obsctl alert why 9f86d081884c",
        "obsctl alert silence list",
        "obsctl alert rules check rules.yml",
    ),
)
rules = group(
    "rules",
    help="Look at a file of alert rules before it is deployed.",
    epilog=examples(
        "obsctl alert rules check rules.yml",
        "obsctl alert rules schema > alert-rules.json",
        "obsctl alert rules replay rules.yml --logs access.log --log-format json",
    ),
)
alert.add_typer(rules)
alert.add_typer(silence)
register(alert)


#: Seconds between two notes about the progress of long work.
_SAY_EVERY_S = 5.0


class LogFormat(enum.StrEnum):
    """The formats of lines."""

    JSON = "json"
    COMBINED = "combined"
    ERROR = "error"


class Severity(enum.StrEnum):
    """How bad the condition of a message is."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


_RulesPath = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="YAML: a list of rules, or a file that has one under consumer_alert_rules or rules, such as group_vars "
        "and alerter.yml; - for standard input.",
    ),
]


@alert.command(
    "test",
    cls=Command,
    epilog=examples(
        "obsctl alert test",
        "obsctl alert test --channel ops-dingtalk --severity critical",
        "obsctl alert test --dry-run -o json",
    ),
)
def send_test(
    ctx: typer.Context,
    channel: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this channel; may be given several times.")
    ] = None,
    severity: Annotated[
        Severity | None,
        typer.Option(
            metavar="LEVEL",
            help="Mention whom a message of this severity mentions: info, warning or critical (default: none).",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be sent, with secrets masked, and send nothing.")
    ] = False,
) -> ExitCode:
    """Send a marked test message through every channel and judge the vendors' answers.

    Delivered means that the vendor itself said so (DingTalk's errcode 0, Slack's ok, 250 after DATA).
    Ends with 75 when nothing worse than a vendor's rate limit was met.
    """
    from obsctl.alerter.alerts import Level
    from obsctl.alerter.channels.registry import parse_channels
    from obsctl.alerter.message import channel_test
    from obsctl.checks.channels.collect import preview_all, send_to_all
    from obsctl.checks.channels.judge import describe_channels, exit_code, judge_channels
    from obsctl.checks.channels.tables import CHANNELS_LAYOUTS
    from obsctl.cli.checking import load_fleet
    from obsctl.cli.output import publish
    from obsctl.cli.reporting import Start
    from obsctl.core.secrets import resolve

    fleet = load_fleet(ctx)
    specs = parse_channels(fleet.alert_channels, "the inventory's alert channels")
    if not specs:
        raise ConfigError(
            "the inventory has no alert channel, so no alert can arrive anywhere",
            hint="set consumer_alert_channels, see docs/reference/alerting.md",
        )
    unknown = set(channel or ()) - {spec.name for spec in specs}
    if unknown:
        known = ", ".join(spec.name for spec in specs)
        raise UsageError(f"no channel is called {', '.join(sorted(unknown))}", hint=f"there are: {known}")
    # Each robot of a pool is tried: one that was removed would be found on a busy day only.
    chosen = [robot for spec in specs if not channel or spec.name in channel for robot in spec.each_robot()]
    start = Start()
    message = channel_test(
        start.at.timestamp(), socket.gethostname(), _templates(fleet), Level(severity) if severity else None
    )
    if dry_run:
        planned: dict[str, Any] = {"dry_run": True, "requests": preview_all(chosen, message, resolve)}
        note(ctx, "dry run: nothing was sent")
        publish(ctx, start.report("alert test", planned), CHANNELS_LAYOUTS)
        return ExitCode.OK
    seen = send_to_all(chosen, message, resolve)
    data = {"message_id": message.id, "channels": describe_channels(seen)}
    publish(ctx, start.report("alert test", data, judge_channels(seen)), CHANNELS_LAYOUTS)
    return exit_code(seen)


@rules.command(
    "check",
    cls=Command,
    epilog=examples(
        "obsctl alert rules check rules.yml",
        "obsctl alert rules check /etc/obsctl/alerter.yml -o json",
        "obsctl alert rules check - < rules.yml",
    ),
)
def check_rules(ctx: typer.Context, file: _RulesPath) -> ExitCode:
    """Read the alert rules in FILE and name every fault with its line; ends with 78 where there is one.

    Says of each rule whether requests through the VIP can make its condition happen.
    """
    from obsctl.alerter.tables import CHECK_LAYOUTS
    from obsctl.cli.output import publish
    from obsctl.cli.reporting import Start

    start = Start()
    entries = _entries(file)
    for entry in entries:
        if entry.open:
            note(ctx, f"{entry.name}: {', '.join(entry.open)} not checked: Jinja text, which the playbook fills in")
        elif entry.rule is not None and entry.rule.remark:
            note(ctx, f"{entry.name}: {entry.rule.remark}")
    data = {
        "rules": [
            {
                "name": entry.name,
                "kind": entry.kind,
                "severity": entry.severity,
                "testable": not entry.why_not_testable,
                "why_not": entry.why_not_testable or None,
                "open": entry.open,
            }
            for entry in entries
        ]
    }
    publish(ctx, start.report("alert rules check", data), CHECK_LAYOUTS)
    return ExitCode.OK


@rules.command("schema", cls=Command, epilog=examples("obsctl alert rules schema > alert-rules.json"))
def show_schema() -> None:
    """Print the JSON Schema of a file of alert rules, by which an editor checks and completes it."""
    from obsctl.alerter.rules_file import schema

    typer.echo(json.dumps(schema(), indent=2, ensure_ascii=False))


@rules.command(
    "replay",
    cls=Command,
    epilog=examples(
        "obsctl alert rules replay rules.yml --logs access.log --log-format json",
        "obsctl alert rules replay rules.yml --logs a.log.gz --log-format combined",
        "obsctl alert rules replay rules.yml --logs - --log-format error -o wide",
    ),
)
def replay_rules(
    ctx: typer.Context,
    file: _RulesPath,
    logs: Annotated[
        list[Path],
        typer.Option(
            "--logs",
            metavar="PATH",
            help="A log, plain or compressed by gzip; - for standard input; may be given several times.",
        ),
    ],
    log_format: Annotated[
        LogFormat, typer.Option(metavar="FORMAT", help="Format of the lines: json, combined or error.")
    ],
    host: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Host that wrote the lines (default: each log is that of a host called as the file)."
        ),
    ] = None,
) -> ExitCode:
    """Show what the alert rules in FILE would have sent while the lines of logs were written; sends nothing.

    The lines' own times move the clock, and messages go through the default stages: one route, no silences, no mute
    windows. -o wide lists each condition and each message.
    """
    from obsctl.alerter.log_files import read_logs
    from obsctl.alerter.rules_file import complete_rules
    from obsctl.alerter.rules_replay import replay
    from obsctl.alerter.tables import REPLAY_LAYOUTS
    from obsctl.cli.output import publish
    from obsctl.cli.reporting import Start

    start = Start()
    if [str(path) for path in (file, *logs)].count("-") > 1:
        raise UsageError("standard input can be read once only", hint="give - for FILE or for one --logs")
    entries = _entries(file)
    chosen = [rule for rule in complete_rules(file, entries) if rule.log is not None]
    left_out = [entry for entry in entries if entry.rule is None or entry.rule.log is None]
    for entry in left_out:
        why = "it is about the pipeline's own numbers, which no log holds"
        if entry.rule is None:
            why = f"Jinja text, which the playbook fills in, in {', '.join(entry.open)}"
        note(ctx, f"{entry.name}: left out: {why}")
    say = _now_and_then(ctx)
    recorded = read_logs(logs, log_format.value, host=host, standard_input=_standard_input, progress=say)
    for bad in recorded.unreadable:
        note(ctx, f"{bad.log}:{bad.first}: {_unreadable(bad.lines)}{f': {bad.reason}' if bad.reason else ''}")
    replayed = replay(chosen, recorded.events, say)
    totals = {
        "lines": recorded.lines,
        "unreadable": sum(bad.lines for bad in recorded.unreadable),
        "first": replayed.first,
        "last": replayed.last,
        "messages": len(replayed.messages),
    }
    data = {
        "totals": totals,
        "rules": replayed.rules,
        "left_out": [entry.name for entry in left_out],
        "conditions": replayed.conditions,
        "messages": replayed.messages,
        "unreadable": recorded.unreadable,
    }
    publish(ctx, start.report("alert rules replay", msgspec.to_builtins(data)), REPLAY_LAYOUTS)
    return ExitCode.OK


def _templates(fleet: Fleet) -> Templates:
    """Return the templates of messages as the inventory chooses them."""
    from obsctl.alerter.config import zone_of
    from obsctl.alerter.templates import Language, Templates
    from obsctl.core.config_file import InvalidValueError

    chosen = fleet.alerter
    try:
        zone = zone_of(chosen.timezone, "alerter.timezone")
    except InvalidValueError as fault:
        raise ConfigError(f"{fault.key}: {fault}", hint=fault.hint) from None
    return Templates(Language(chosen.language), zone, Path(chosen.templates) if chosen.templates else None)


def _entries(file: Path) -> list[Entry]:
    """Read a file of rules; ``-`` is standard input."""
    from obsctl.alerter.rules_file import load

    try:
        if str(file) == "-":
            return load(Path("standard input"), _standard_input().read().decode())
        return load(file, file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{file}: is not text in UTF-8") from None


def _unreadable(lines: int) -> str:
    if lines == 1:
        return "not of this format and left out"
    return f"the first of {lines:,} lines that are not of this format and left out"


def _now_and_then(ctx: typer.Context) -> Callable[[str], None]:
    """Return what writes progress, and only as often as a person wants to read it."""
    last = time.monotonic()

    def say(text: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _SAY_EVERY_S:
            last = now
            note(ctx, text)

    return say


def _standard_input() -> BinaryIO:
    if sys.stdin is None:
        raise UsageError("standard input is closed")
    return sys.stdin.buffer
