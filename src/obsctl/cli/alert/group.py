"""``obsctl alert``: prove that alerts arrive, silence them, see why, and test rules before they page anybody."""

from __future__ import annotations

from obsctl.cli.alert import history, send_test, would_fire
from obsctl.cli.alert.rules import rules
from obsctl.cli.alert.silence import silence
from obsctl.cli.commands import examples, group

alert = group(
    "alert",
    help="Prove that alerts arrive, silence them, see why, and test rules before they page anybody.",
    epilog=examples(
        "obsctl alert test",
        "obsctl alert list",
        "obsctl alert why 9f86d081884c",
        "obsctl alert silence add rule:client-errors --for 2h --reason 'load test'",
        "obsctl alert rules replay --since 24h",
        "obsctl alert would-fire client-errors --threshold 50",
    ),
)
alert.add_typer(rules)
alert.add_typer(silence)
history.register(alert)
would_fire.register(alert)
send_test.register(alert)
