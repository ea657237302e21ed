"""``obsctl alert rules``: judge rules before anybody is woken by them."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from obsctl.cli.commands import Command, examples, group
from obsctl.cli.settings import note
from obsctl.core.errors import ConfigError, ExitCode
from obsctl.core.layout import Layout
from obsctl.core.utc import timestamp

if TYPE_CHECKING:
    from obsctl.alerter.rules.rule import Rule
    from obsctl.lines.formats.line import Line

rules = group(
    "rules",
    help="Check rules, and see what they would have made of recorded lines.",
    epilog=examples(
        "obsctl alert rules check rules.yml",
        "obsctl alert rules replay rules.yml --logs access.log --log-format combined",
    ),
)
_LAYOUTS = (
    Layout("rules", "Rules", ("name", "kind", "severity", "testable"), ("why_not",)),
    Layout("replayed", "Rules", ("name", "fires", "messages", "first", "last")),
    Layout("messages", "Messages (not sent)", ("at", "title")),
)
_File = Annotated[
    Path,
    typer.Argument(metavar="FILE", help="YAML: a list of rules, or one below "
                   "consumer_alert_rules or rules."),
]  # fmt: skip


@rules.callback()
def _group() -> None:
    """Make it a group."""


@rules.command("check", cls=Command, epilog=examples("obsctl alert rules check rules.yml"))
def check(ctx: typer.Context, file: _File) -> ExitCode:
    """Check a file of rules; every fault is named with its line.

    A rule is testable where requests can make its condition happen.
    """
    from obsctl.alerter.rule_file import untestable
    from obsctl.cli.output import publish
    from obsctl.cli.reporting import Start

    start = Start()
    read = [
        {
            "name": rule.name,
            "kind": rule.kind,
            "severity": rule.severity.value,
            "testable": not untestable(rule),
            "why_not": untestable(rule),
        }
        for rule in _rules_of(file)
    ]
    publish(ctx, start.report("alert rules check", {"rules": read}), _LAYOUTS)
    return ExitCode.OK


@rules.command(
    "replay",
    cls=Command,
    epilog=examples(
        "obsctl alert rules replay rules.yml --logs access.log --log-format combined",
        "obsctl alert rules replay rules.yml --logs a.log.gz --log-format json",
    ),
)
def replay(
    ctx: typer.Context,
    file: _File,
    logs: Annotated[
        list[Path],
        typer.Option(metavar="PATH", help="A log, plain or .gz; may be given several times."),
    ],
    log_format: Annotated[str, typer.Option(metavar="FORMAT", help="Format of the lines: json, combined or error.")],
    host: Annotated[str, typer.Option(metavar="NAME", help="The host that wrote the lines.")] = "recorded",
) -> ExitCode:
    """Judge recorded lines by rules: what would have fired, and which messages would have been sent.

    The lines' own times move the clock, and nothing is sent. Lines that cannot be read are counted.
    """
    from obsctl.alerter import rule_replay
    from obsctl.cli.output import publish
    from obsctl.cli.reporting import Start
    from obsctl.lines.formats.registry import formats

    known = formats()
    if log_format not in known:
        raise typer.BadParameter(f"{log_format!r} is not one of {', '.join(known)}.", param_hint="'--log-format'")
    start, chosen = Start(), _rules_of(file)
    lines = _Lines(logs, known[log_format], host)
    found = rule_replay.replay(chosen, lines, lambda part: note(ctx, f"{part:.0%} of the recorded time"))
    rows = []
    for rule in chosen:
        alerts, messages = found.of_rule(rule.name)
        moments = [timestamp_of(alert.started) for alert in alerts]
        rows.append(
            {
                "name": rule.name,
                "fires": len(alerts),
                "messages": messages,
                "first": moments[0] if moments else "",
                "last": moments[-1] if moments else "",
            }
        )
    data: dict[str, Any] = {
        "lines": found.lines,
        "unreadable": lines.unreadable,
        "replayed": rows,
        "messages": [{"at": timestamp_of(at), "title": message.title} for at, message in found.messages],
    }
    note(ctx, f"{found.lines:,} lines judged, {lines.unreadable:,} unreadable; nothing was sent")
    publish(ctx, start.report("alert rules replay", data), _LAYOUTS)
    return ExitCode.OK


def timestamp_of(seconds: float) -> str:
    """Return a moment (seconds since the epoch) as reports write it."""
    from datetime import UTC, datetime

    return timestamp(datetime.fromtimestamp(seconds, UTC))


def _rules_of(path: Path) -> list[Rule]:
    """Return the rules of a file.

    Raises:
        ConfigError: one of them has a fault; all faults are named.
    """
    from obsctl.alerter import rule_file
    from obsctl.core.config_file import ConfigFile

    read, faults = rule_file.read(ConfigFile(path))
    if faults:
        hints = [fault.hint for fault in faults if fault.hint]
        raise ConfigError(
            "\n".join(map(str, faults)), hint=hints[0] if hints else "docs/reference/alerting.md has the options"
        )
    return read


class _Lines:
    """The lines of some logs; those that cannot be read are counted."""

    def __init__(self, paths: list[Path], parse: Any, host: str) -> None:
        self._paths = paths
        self._parse = parse
        self._host = host
        self.unreadable = 0

    def __iter__(self) -> Iterator[Line]:
        for path in self._paths:
            try:
                with (gzip.open if path.suffix == ".gz" else open)(
                    path, "rt", encoding="utf-8", errors="replace"
                ) as log:
                    yield from self._parsed(log)
            except (OSError, EOFError, zlib.error) as error:
                raise ConfigError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None

    def _parsed(self, log: Iterable[str]) -> Iterator[Line]:
        from obsctl.lines.formats.line import LineError

        for text in log:
            try:
                line = self._parse(text.rstrip("\n"))
            except LineError:
                self.unreadable += 1
                continue
            line.host = self._host
            yield line
