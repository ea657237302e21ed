"""``obsctl alert``: prove that alerts arrive."""

from __future__ import annotations

import socket
import time
from datetime import UTC, datetime

import click

from obsctl.cli.checking import load_fleet, timestamp, with_doc
from obsctl.cli.output import publish
from obsctl.cli.settings import Group, note
from obsctl.core.errors import ConfigError, ExitCode, UsageError
from obsctl.core.report import Report, Status, verdict


@click.group(cls=Group)
def alert() -> None:
    """Prove that alerts arrive."""


@alert.command()
@click.option("--channel", "names", multiple=True, metavar="NAME", help="Only this channel; may be repeated.")
@click.option("--dry-run", is_flag=True, help="Show what would be sent, with secrets masked, and send nothing.")
@click.pass_context
def test(ctx: click.Context, names: tuple[str, ...], dry_run: bool) -> ExitCode:
    """Send a marked test message through every channel and judge the vendors' answers.

    Delivered means that the vendor itself said so (DingTalk's errcode 0, 2xx of a webhook, 250 after DATA).
    Ends with 75 when nothing worse than a vendor's rate limit was met.

    \b
    Examples:
      obsctl alert test
      obsctl alert test --channel ops-dingtalk
      obsctl alert test --dry-run -o json
    """
    from obsctl.alerter import selftest
    from obsctl.alerter.channels import parse_channels
    from obsctl.alerter.message import channel_test
    from obsctl.core.secrets import resolve

    specs = parse_channels(load_fleet(ctx).alert_channels, "the inventory's alert channels")
    if not specs:
        raise ConfigError(
            "the inventory has no alert channel, so no alert can arrive anywhere",
            hint="set consumer_alert_channels, see docs/reference/alerting.md",
        )
    unknown = set(names) - {spec.name for spec in specs}
    if unknown:
        known = ", ".join(spec.name for spec in specs)
        raise UsageError(f"no channel is called {', '.join(sorted(unknown))}", hint=f"there are: {known}")
    chosen = [spec for spec in specs if not names or spec.name in names]
    checked_at, started = datetime.now(UTC), time.monotonic()
    message = channel_test(checked_at.timestamp(), socket.gethostname())
    if dry_run:
        data = {"dry_run": True, "requests": selftest.preview_all(chosen, message, resolve)}
        found, status, code = [], Status.OK, ExitCode.OK
        note(ctx, "dry run: nothing was sent")
    else:
        trials = selftest.send_to_all(chosen, message, resolve)
        found = [with_doc(finding) for finding in selftest.findings(trials)]
        data = {"message_id": message.id, "channels": selftest.rows(trials)}
        status, code = verdict(found, ()), selftest.exit_code(trials)
    report = Report(
        command="alert test",
        status=status,
        checked_at=timestamp(checked_at),
        took_ms=round((time.monotonic() - started) * 1000),
        findings=tuple(found),
        data=data,
    )
    publish(ctx, report)
    return code
