"""``obsctl alert rules``: test alert rules before they page anybody."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from obsctl.cli.alert.replay import register
from obsctl.cli.alert.rule_sources import A_FILE_OF_RULES, rules_of_file
from obsctl.cli.commands import Command, examples, group
from obsctl.cli.settings import note
from obsctl.core.errors import ExitCode

rules = group(
    "rules",
    help="Test alert rules before they page anybody: check a file, see what rules would have sent.",
    epilog=examples(
        "obsctl alert rules check rules.yml",
        "obsctl alert rules replay --since 24h --rules rules.yml",
        "obsctl alert rules replay access.log",
        "obsctl alert rules schema > alert-rules.json",
    ),
)


@rules.command(
    "check",
    cls=Command,
    epilog=examples(
        "obsctl alert rules check rules.yml",
        "obsctl alert rules check /etc/obsctl/alerter.yml -o json",
        "obsctl alert rules check - < rules.yml",
    ),
)
def check_rules(
    ctx: typer.Context, file: Annotated[Path, typer.Argument(metavar="FILE", help=f"{A_FILE_OF_RULES}.")]
) -> ExitCode:
    """Check the alert rules in FILE and show every error with its line; exits with 78 if there are any.

    Also says for each rule whether requests through the VIP can make its condition true.
    """
    from obsctl.cli.alert.tables import CHECK_LAYOUTS
    from obsctl.cli.output import publish
    from obsctl.cli.reporting import Start

    start = Start()
    entries = rules_of_file(file)
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
    """Print the JSON Schema of an alert rules file, with which an editor checks and completes it."""
    from obsctl.alerter.rules_file import schema

    typer.echo(json.dumps(schema(), indent=2, ensure_ascii=False))


register(rules)
