"""What the role's own rules report, and what they keep quiet about."""

from __future__ import annotations

from pathlib import Path

import pytest

from obsctl.alerter.events import Event
from obsctl.alerter.rules_file import complete_rules, load
from obsctl.alerter.rules_replay import replay
from tests.unit.alerter.builders import error_event, event


def messages(project: Path, lines: list[Event]) -> dict[str, int]:
    """Return how many messages there are about each rule, of those that have any."""
    path = project / "roles/consumer/defaults/main.yml"
    found = replay(complete_rules(path, load(path)), sorted(lines, key=lambda line: line.time))
    return {rule.name: rule.messages for rule in found.rules if rule.messages}


def test_a_quiet_site_that_fails_is_reported(project: Path) -> None:
    assert messages(project, [event(at, status=502) for at in range(0, 900, 10)]) == {"most-requests-fail": 2}


def test_a_burst_of_failures_is_reported_once(project: Path) -> None:
    burst = [event(n / 20, status=502, client=f"192.0.2.{n}") for n in range(200)]
    calm = [event(at, client="192.0.2.1") for at in range(0, 900, 5)]
    assert messages(project, burst + calm) == {"server-error-share": 2}


def test_one_back_end_of_ten_that_fails_is_reported(project: Path) -> None:
    lines = [
        event(n / 10, client=f"192.0.2.{n % 99}", upstream_addr=f"10.0.0.{n % 10}:80", status=200 if n % 40 else 502)
        for n in range(6000)
    ]
    assert messages(project, lines) == {"backend-error-share": 2}


@pytest.mark.parametrize(
    ("level", "message", "reported"),
    [
        ("crit", "pwrite() failed (28: No space left on device)", True),
        ("emerg", "bind() to 0.0.0.0:80 failed", True),
        ("crit", "SSL_do_handshake() failed (SSL: error:0A00006C) while SSL handshaking", False),
        ("error", "connect() failed (111: Connection refused) while connecting to upstream", False),
    ],
)
def test_error_lines_of_nginx_itself_are_reported(level: str, message: str, reported: bool, project: Path) -> None:
    found = messages(project, [error_event(0, level=level, message=message)])
    assert found == ({"nginx-alerts": 2} if reported else {})
