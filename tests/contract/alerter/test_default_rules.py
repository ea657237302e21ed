"""What the role's own rules report, and what they keep quiet about."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from obsctl.alerter.evaluation.engine import Engine
from obsctl.alerter.notify.of_rules import notification_plan
from obsctl.alerter.notify.options import NotifyOptions
from obsctl.alerter.notify.stages import Notifier
from obsctl.alerter.replay.run import Read, replay
from obsctl.alerter.rules.metric import Metric
from obsctl.alerter.rules_file import complete_rules, load
from obsctl.alerter.windows.observation import SOURCE, Number, observation
from obsctl.lines.event import Event
from tests.unit.alerter.builders import T, error_event, event


def messages(project: Path, lines: list[Event]) -> dict[str, int]:
    """Return how many messages there are about each rule, of those that have any."""
    path = project / "roles/consumer/defaults/main.yml"
    found = replay(
        complete_rules(path, load(path)), [Read(line.time, line) for line in sorted(lines, key=lambda line: line.time)]
    )
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


Pages = dict[str, list[Number] | None]


def number(name: str, value: float, **labels: str) -> Number:
    return Number(
        f"obsctl_{name}", {SOURCE: "alerter" if name.startswith("alerter") else "consumer-app1", **labels}, value
    )


def said(project: Path, seconds: int, pages: Callable[[int], Pages]) -> list[tuple[str, str]]:
    """Return (reason, rule) of the messages while the pages show this, read each ten seconds."""
    path = project / "roles/consumer/defaults/main.yml"
    rules = complete_rules(path, load(path))
    machine = Engine(rules, lateness_s=300, ahead_s=60)
    notifier = Notifier(notification_plan(NotifyOptions(), rules, ["ops"]))
    found = []
    for second in range(seconds):
        now = float(T + second)
        changed = machine.tick(now, now)
        if second % 10 == 0:
            changed += machine.observe(observation(now, {"consumer-app1": [], "alerter": []} | pages(second)), now)
        # What a silence of lines starts is not of interest here.
        news = [one.alert for one in changed if one.alert.kind == Metric.__struct_config__.tag]
        firing = {place: alert for place, alert in machine.firing.items() if alert.kind == "metric"}
        found += [
            (about.reason.value, about.alerts[0].rule) for about in notifier.turn(news, firing, now).notifications
        ]
    return found


def away(first: int, last: int) -> Callable[[int], Pages]:
    """The consumer's page cannot be read meanwhile, and afterwards its positions are not known for a while."""

    def pages(second: int) -> Pages:
        if first <= second < last:
            return {"consumer-app1": None}
        known = second < first or second >= last + 20
        return {"consumer-app1": [number("consumer_behind_seconds", 1.0)] if known else []}

    return pages


def test_an_upgrade_of_the_consumer_wakes_no_one(project: Path) -> None:
    assert said(project, 900, away(100, 240)) == []


def test_a_consumer_that_stays_away_is_reported_and_so_is_its_return(project: Path) -> None:
    assert said(project, 1200, away(100, 600)) == [("first", "source-down"), ("resolved", "source-down")]


def test_a_database_that_is_away_is_reported_until_all_is_stored(project: Path) -> None:
    def pages(second: int) -> Pages:
        broken = 100 <= second < 700
        behind = (
            min(max(0, second - 100), 600) if broken else max(0.0, 600 - 3.0 * (second - 700)) if second > 700 else 0.0
        )
        return {
            "consumer-app1": [
                number("consumer_troubles", float(broken)),
                number("consumer_behind_seconds", float(behind)),
            ]
        }

    assert said(project, 1500, pages) == [
        ("first", "consumer-behind"),
        ("first", "consumer-waits"),
        ("resolved", "consumer-waits"),
        ("resolved", "consumer-behind"),
    ]


def test_a_restart_of_the_database_wakes_no_one(project: Path) -> None:
    def pages(second: int) -> Pages:
        behind = second - 100 if 100 <= second < 200 else 0
        return {
            "consumer-app1": [number("consumer_troubles", min(behind, 1)), number("consumer_behind_seconds", behind)]
        }

    assert said(project, 900, pages) == []


def quarantined(per_ten_seconds: float) -> Callable[[int], Pages]:
    def pages(second: int) -> Pages:
        count = 5000 + per_ten_seconds * max(0, min(second, 900) - 300) / 10
        return {"consumer-app1": [number("consumer_lines_total", count, outcome="quarantined"),
                                  number("consumer_lines_total", 1e6 + 1000 * second, outcome="stored")]}  # fmt: skip

    return pages


def test_a_format_that_was_changed_is_reported_and_single_broken_lines_are_not(project: Path) -> None:
    assert said(project, 2400, quarantined(50)) == [("first", "quarantine-grows"), ("resolved", "quarantine-grows")]
    assert said(project, 2400, quarantined(1)) == []


@pytest.mark.parametrize(
    ("name", "labels", "well", "bad", "rule"),
    [
        ("alerter_channel_unable_seconds", {"channel": "ops"}, 299, 301, "channel-cannot-deliver"),
        ("alerter_dead_letters", {"channel": "ops"}, 0, 1, "message-given-up"),
        ("alerter_disk_free_share", {"path": "/var/lib/obsctl-alerter"}, 0.1, 0.09, "disk-nearly-full"),
        ("alerter_certificate_days", {"path": "/etc/ssl/lb.pem"}, 21, 20.9, "certificate-ends"),
    ],
)
def test_each_other_number_has_its_limit(
    *, name: str, labels: dict[str, str], well: float, bad: float, rule: str, project: Path
) -> None:
    assert said(project, 400, lambda _: {"alerter": [number(name, well, **labels)]}) == []
    assert said(project, 400, lambda _: {"alerter": [number(name, bad, **labels)]}) == [("first", rule)]
