"""``obsctl alert test``: a test message through every channel, or a rule's condition made to happen."""

from __future__ import annotations

import enum
import socket
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from obsctl.cli import completion
from obsctl.cli.commands import Command, examples
from obsctl.cli.moments import duration
from obsctl.cli.settings import note, now_and_then
from obsctl.core.errors import ConfigError, ExitCode, UsageError
from obsctl.core.nearest import did_you_mean

if TYPE_CHECKING:
    from obsctl.alerter.messages.templates import Templates
    from obsctl.fleet.model import Fleet


class Severity(enum.StrEnum):
    """How bad the condition of a message is."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


def send_test(
    ctx: typer.Context,
    *,
    channel: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", autocompletion=completion.channels, help="Only this channel; repeatable."),
    ] = None,
    severity: Annotated[
        Severity | None,
        typer.Option(
            metavar="LEVEL",
            help="Mention the people that a message of this severity mentions: info, warning or critical "
            "(default: none).",
        ),
    ] = None,
    rule: Annotated[
        list[str] | None,
        typer.Option(
            "--rule",
            metavar="NAME",
            autocompletion=completion.rules,
            help="Send requests through the VIP that make this rule's condition true instead; repeatable.",
        ),
    ] = None,
    all_rules: Annotated[
        bool, typer.Option("--all-rules", help="The same for every rule whose condition requests can make true.")
    ] = False,
    deadline: Annotated[
        timedelta | None,
        typer.Option(
            parser=duration,
            metavar="SPAN",
            show_default=False,
            help="With --rule or --all-rules: the time limit for each rule, from its first request to the channels' "
            "answers, such as 90s, 5m (default: 60s).",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be sent, with secrets masked, and send nothing.")
    ] = False,
) -> ExitCode:
    """Send a marked test message through every channel, or make a rule's condition true, and check what arrives.

    Delivered means that the vendor itself said so (DingTalk's errcode 0, Slack's ok, 250 after DATA).
    Exits with 75 if the only problem was a vendor's rate limit.

    With --rule or --all-rules, marked requests go through the VIP. nginx itself answers them as the rule needs,
    and the time of each hop is printed: answered, shipped to Kafka, read by the alerter, fired, decided, accepted by
    the channels. Their lines are left out of all tables, statistics and real alerts.
    """
    if rule or all_rules:
        if rule and all_rules:
            raise UsageError("--rule and --all-rules exclude each other")
        if channel or severity:
            raise UsageError(
                "--channel and --severity apply only to a plain test message; a rule's message goes along its route",
                hint="leave them out with --rule and --all-rules",
            )
        return _test_on_the_wire(ctx, rule or [], deadline, dry_run=dry_run)
    if deadline is not None:
        raise UsageError("--deadline needs --rule or --all-rules")
    from obsctl.alerter.alerts import Level
    from obsctl.alerter.channels.registry import parse_channels
    from obsctl.alerter.messages.message import channel_test
    from obsctl.checks.channels.collect import preview_all, send_to_all
    from obsctl.checks.channels.judge import describe_channels, exit_code, judge_channels
    from obsctl.checks.channels.tables import CHANNELS_LAYOUTS
    from obsctl.checks.headline import headline
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
    names = [spec.name for spec in specs]
    if unknown := [name for name in channel or () if name not in names]:
        hint = did_you_mean(unknown, names, f"there are: {', '.join(names)}")
        raise UsageError(f"there is no channel {', '.join(unknown)}", hint=hint)
    # Each robot of a pool is tried: otherwise a removed one would only be noticed on a busy day.
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
    found = judge_channels(seen)
    worst = headline(fleet, found, "", start.at)
    publish(ctx, start.report("alert test", data, found, headline=worst), CHANNELS_LAYOUTS)
    return exit_code(seen)


def register(alert: typer.Typer) -> None:
    """Add the command."""
    alert.command(
        "test",
        cls=Command,
        epilog=examples(
            "obsctl alert test",
            "obsctl alert test --channel ops-dingtalk --severity critical",
            "obsctl alert test --dry-run -o json",
            "obsctl alert test --rule client-request-rate",
            "obsctl alert test --all-rules --deadline 5m",
        ),
    )(send_test)


def _templates(fleet: Fleet) -> Templates:
    """Return the message templates that the inventory chooses."""
    from obsctl.alerter.messages.templates import Language, Templates
    from obsctl.core.config_file import InvalidValueError
    from obsctl.core.settings import zone_of

    chosen = fleet.alerter
    try:
        zone = zone_of(chosen.timezone, "alerter.timezone")
    except InvalidValueError as fault:
        raise ConfigError(f"{fault.key}: {fault}", hint=fault.hint) from None
    return Templates(Language(chosen.language), zone, Path(chosen.templates) if chosen.templates else None)


def _test_on_the_wire(ctx: typer.Context, names: list[str], deadline: timedelta | None, *, dry_run: bool) -> ExitCode:
    from obsctl.cli.alert.rule_tests import run_rule_tests

    deadline_s = (deadline or timedelta(seconds=60)).total_seconds()
    return run_rule_tests(ctx, names, deadline_s=deadline_s, dry_run=dry_run, say=now_and_then(ctx))
