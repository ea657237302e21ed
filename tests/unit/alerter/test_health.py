"""What the alerter says about itself when its memory is not enough."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from obsctl.alerter.active import Alerter
from obsctl.alerter.channels.outcome import Attempts, Delivery, Verdict
from obsctl.alerter.config import load
from obsctl.alerter.health import Role, metrics, own_numbers, standby
from obsctl.alerter.leadership import Membership
from obsctl.alerter.silences.follower import SilenceFollower
from obsctl.alerter.state.changelog import Changelog
from obsctl.alerter.state.outbox import DeadLetters, Pace
from obsctl.alerter.state.state_file import State
from tests.unit.alerter.builders import T, event

RULE = "client-request-rate"


def alerter(folder: Path, *, channels: str = "[]", metrics: str = "{sources: []}") -> Alerter:
    path = folder / "alerter.yml"
    path.write_text(
        "kafka: {bootstrap: ['127.0.0.1:1'], group: g, member: m, topics: "
        "{access: t, error: e, state: s, silences: s, history: h}}\n"
        f"state: {folder}/state.db\n"
        f"channels: {channels}\nmetrics: {metrics}\ntrusted_proxies: []\nerror_log_timezone: UTC\nnative: true\n"
        "language: en\n"
        "health: {address: 127.0.0.1, port: 9601}\n"
        "rules: [{name: client-request-rate, kind: requests_per_client, threshold: 100}]\n"
    )
    config = load(path)
    changelog = Changelog(config.kafka, lambda: None)
    silences = SilenceFollower(config.kafka.bootstrap, config.kafka.topics.silences)
    return Alerter(config, State(config.state), changelog, Membership(config.kafka), silences)


def test_counts_that_were_dropped_are_shown(tmp_path: Path) -> None:
    service = alerter(tmp_path)
    assert service.health().evicted == {"client-request-rate": 0}
    service._engine.evicted[RULE].keys, service._engine.evicted[RULE].at = 10_000, time.time()
    health = service.health()
    assert "rule client-request-rate: more than 100,000 keys at a time" in health.reason
    assert 'obsctl_alerter_keys_evicted_total{rule="client-request-rate"} 10000' in metrics(health, time.time())


def test_they_are_not_shown_for_ever(tmp_path: Path) -> None:
    service = alerter(tmp_path)
    service._engine.evicted[RULE].keys, service._engine.evicted[RULE].at = 10_000, time.time() - 301
    assert "keys at a time" not in service.health().reason


def test_what_is_on_is_shown_after_a_restart(tmp_path: Path) -> None:
    service = alerter(tmp_path)
    service._save(service._engine.feed([event(n / 100, client="192.0.2.1") for n in range(100)], T + 5))
    assert [alert.labels for alert in service.health().alerts] == [{"client_addr": "192.0.2.1"}]
    service._state.close()
    again = alerter(tmp_path)
    again._recover()
    assert again.health().firing == 1


def test_an_alerter_that_stands_by_is_well_unless_it_could_not_take_over() -> None:
    assert standby("").status == "ok"
    assert "obsctl_alerter_active 0" in metrics(standby(""), T)
    assert standby("topic s does not exist").status == "failing"
    assert standby("").role is Role.STANDBY


def test_a_history_without_a_topic_and_silences_that_are_not_read_are_shown_once_that_lasts(tmp_path: Path) -> None:
    service = alerter(tmp_path)
    service._changelog.history.lost = 3
    assert "obsctl_alerter_history_lost_total 3" in metrics(service.health(), T)
    for part in (service._changelog.history, service._silences):
        part.trouble, part.trouble_since = "the cluster has no topic t", time.monotonic()
    assert "the cluster has no topic" not in service.health().reason
    for part in (service._changelog.history, service._silences):
        part.trouble_since -= 31
    health = service.health()
    assert "silences: the cluster has no topic t" in health.reason
    assert "history: the cluster has no topic t" in health.reason


CHANNELS = (
    "[{name: a, type: webhook, url: 'http://127.0.0.1:1/'}, {name: b, type: webhook, url: 'http://127.0.0.1:1/'}]"
)


def well(service: Alerter) -> None:
    """Pretend that lines are read."""
    for follower in service._followers:
        follower.trouble = lambda: None  # type: ignore[method-assign]


def with_channels(folder: Path) -> Alerter:
    return alerter(folder, channels=CHANNELS)


def with_seen_machine(service: Alerter) -> Alerter:
    """Have it looked at the machine, as its thread does."""
    service._poller.machine = service._poller._look_at_machine()
    return service


def unable(waiting: int, since: float, verdict: str, failures: int) -> Pace:
    return Pace(waiting=waiting, oldest=since, verdict=verdict, failures=failures, blocked_since=since)


def test_the_heartbeat_is_given_while_one_channel_can_deliver(tmp_path: Path) -> None:
    service = with_channels(tmp_path)
    well(service)
    assert service._why_no_heartbeat() == ""
    one, other = service._senders
    one.pace = unable(3, time.time() - 400, "refused", 2)
    assert service._why_no_heartbeat() == ""
    other.pace = unable(1, time.time() - 400, "unreachable", 9)
    assert service._why_no_heartbeat() == "no channel can deliver"
    other.pace = unable(1, time.time() - 5, "unreachable", 1)
    assert service._why_no_heartbeat() == "", "one failure is not yet unable"


def test_the_heartbeat_is_withheld_while_no_lines_are_read(tmp_path: Path) -> None:
    service = with_channels(tmp_path)
    assert "Kafka does not answer" in service._why_no_heartbeat()
    well(service)
    service._turned_at -= 31
    assert "no batch was finished" in service._why_no_heartbeat()


def test_without_a_channel_nobody_would_hear_anything(tmp_path: Path) -> None:
    service = alerter(tmp_path)
    well(service)
    assert service._why_no_heartbeat() == "there is no channel"


def test_a_channel_that_cannot_deliver_is_a_number_and_so_are_dead_letters_and_attempts(tmp_path: Path) -> None:
    service = with_channels(tmp_path)
    one, other = service._senders
    one.pace = unable(3, time.time() - 400, "refused", 2)
    one.dead = DeadLetters(2, "[FIRING] rate 192.0.2.1")
    for code in ("93000", "93000", "45009"):
        one.attempts.add(Delivery(Verdict.REFUSED, code, ""))
    other.attempts.add(Delivery(Verdict.DELIVERED, "200", ""))
    health = service.health()
    found = {
        (number.name.removeprefix("obsctl_alerter_"), number.labels.get("channel"), number.labels.get("code")): number
        for number in own_numbers("alerter", health, time.time())
    }
    assert found["channel_unable_seconds", "a", None].value == pytest.approx(400, abs=30)
    assert found["channel_unable_seconds", "b", None].value == 0
    assert found["outbox_oldest_seconds", "a", None].value == pytest.approx(400, abs=30)
    assert found["dead_letters", "a", None].value == 2
    assert found["deliveries_total", "a", "93000"].value == 2
    assert found["deliveries_total", "b", "200"].labels["verdict"] == "delivered"
    assert {number.labels["source"] for number in found.values()} == {"alerter"}
    assert "2 messages were abandoned within the last day; the latest one is '[FIRING] rate 192.0.2.1'" in health.reason
    assert health.status != "ok"


def test_a_receiver_that_answers_with_any_text_makes_no_endless_page() -> None:
    attempts = Attempts()
    for number in range(1000):
        attempts.add(Delivery(Verdict.REFUSED, f"error {number}", ""))
    assert len(attempts.by_outcome) <= 31
    assert sum(attempts.by_outcome.values()) == 1000


def test_the_page_says_what_the_rules_see(tmp_path: Path) -> None:
    """One description: no number is on the page that a rule cannot be about, and the other way round."""
    health = with_seen_machine(with_channels(tmp_path)).health()
    lines = {line for line in metrics(health, 5.0).splitlines() if not line.startswith("#")}
    assert len(lines) == len(list(own_numbers("alerter", health, 5.0)))
    assert f'obsctl_alerter_keys{{rule="{RULE}"}} 0' in lines
    assert [line for line in lines if line.startswith("obsctl_alerter_disk_free_share")]


def test_a_certificate_that_cannot_be_read_is_a_reason(tmp_path: Path) -> None:
    service = alerter(tmp_path, metrics=f"{{sources: [], certificates: [{tmp_path}/absent.pem]}}")
    assert service.health().certificate_days == {}, "not looked at yet"
    health = with_seen_machine(service).health()
    assert f"no certificate can be read in {tmp_path}/absent.pem" in health.reason
    assert health.certificate_days == {f"{tmp_path}/absent.pem": None}
    assert "certificate_days{" not in metrics(health, 5.0)
