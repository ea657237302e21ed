"""``obsctl alert``: prove that alerts arrive."""

from __future__ import annotations

import socket
from typing import Annotated, Any

import typer

from obsctl.cli.alert_rules import rules
from obsctl.cli.commands import Command, examples, group
from obsctl.cli.settings import note
from obsctl.core.errors import ConfigError, ExitCode, UsageError

alert = group(
    "alert", help="Prove that alerts arrive.", epilog=examples("obsctl alert test", "obsctl alert test --dry-run")
)


alert.add_typer(rules)


@alert.command(
    "test",
    cls=Command,
    epilog=examples(
        "obsctl alert test", "obsctl alert test --channel ops-dingtalk", "obsctl alert test --dry-run -o json"
    ),
)
def send_test(
    ctx: typer.Context,
    channel: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this channel; may be given several times.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be sent, with secrets masked, and send nothing.")
    ] = False,
) -> ExitCode:
    """Send a marked test message through every channel and judge the vendors' answers.

    Delivered means that the vendor itself said so (DingTalk's errcode 0, Slack's ok, 250 after DATA).
    Ends with 75 when nothing worse than a vendor's rate limit was met.
    """
    from obsctl.alerter.channels.registry import parse_channels
    from obsctl.alerter.message import channel_test
    from obsctl.checks.channels.collect import preview_all, send_to_all
    from obsctl.checks.channels.judge import describe_channels, exit_code, judge_channels
    from obsctl.checks.channels.tables import CHANNELS_LAYOUTS
    from obsctl.cli.checking import load_fleet
    from obsctl.cli.output import publish
    from obsctl.cli.reporting import Start
    from obsctl.core.secrets import resolve

    specs = parse_channels(load_fleet(ctx).alert_channels, "the inventory's alert channels")
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
    message = channel_test(start.at.timestamp(), socket.gethostname())
    if dry_run:
        planned: dict[str, Any] = {"dry_run": True, "requests": preview_all(chosen, message, resolve)}
        note(ctx, "dry run: nothing was sent")
        publish(ctx, start.report("alert test", planned), CHANNELS_LAYOUTS)
        return ExitCode.OK
    seen = send_to_all(chosen, message, resolve)
    data = {"message_id": message.id, "channels": describe_channels(seen)}
    publish(ctx, start.report("alert test", data, judge_channels(seen)), CHANNELS_LAYOUTS)
    return exit_code(seen)
