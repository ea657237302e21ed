"""The filter language over alerts."""

from __future__ import annotations

import pytest

from obsctl.alerter.alerts import Alert, Level
from obsctl.alerter.notify.alert_filter import reader
from obsctl.core.errors import ConfigError
from tests.unit.alerter.notify.world import World

READ = reader(("client_addr", "upstream_addr"))


def alert() -> Alert:
    return World().start("10.1.2.3", rule="server-errors", severity=Level.CRITICAL)


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("rule:server-errors", True),
        ("rule:server-*", True),
        ("rule:client-*", False),
        ("severity:critical", True),
        ("severity:(warning OR info)", False),
        ("client_addr:10.0.0.0/8", True),
        ("client_addr:192.168.0.0/16", False),
        ("NOT client_addr:10.1.2.3", False),
        ("upstream_addr:*", False),
        ("kind:frequency AND rule:server-errors", True),
        ("10.1.2", True),
    ],
)
def test_alerts_are_found_by_their_fields_and_labels(text: str, fits: bool) -> None:
    assert READ(text)(alert()) is fits


@pytest.mark.parametrize(("text", "words"), [("uri:/a", "uri"), ("rul:x", "rule"), ("rule:(", "column")])
def test_what_alerts_do_not_have_is_an_error(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as fault:
        READ(text)
    assert words in f"{fault.value} {fault.value.hint}"
