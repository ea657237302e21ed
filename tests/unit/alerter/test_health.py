"""What the alerter says about itself when its memory is not enough."""

from __future__ import annotations

import time
from pathlib import Path

from obsctl.alerter.changelog import Changelog
from obsctl.alerter.config import load
from obsctl.alerter.health import Role, metrics, standby
from obsctl.alerter.leadership import Membership
from obsctl.alerter.service import Alerter
from obsctl.alerter.silence_follower import SilenceFollower
from obsctl.alerter.state import State
from tests.unit.alerter.builders import T, event

RULE = "client-request-rate"


def alerter(folder: Path) -> Alerter:
    path = folder / "alerter.yml"
    path.write_text(
        "kafka: {bootstrap: ['127.0.0.1:1'], group: g, member: m, topics: "
        "{access: t, error: e, state: s, silences: s, history: h}}\n"
        f"state: {folder}/state.db\n"
        "channels: []\ndatabase: obs\ntrusted_proxies: []\nerror_log_timezone: UTC\n"
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
    assert 'obsctl_alerter_keys_evicted_total{rule="client-request-rate"} 10000' in metrics(health)


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
    assert "obsctl_alerter_active 0" in metrics(standby(""))
    assert standby("topic s does not exist").status == "failing"
    assert standby("").role is Role.STANDBY


def test_a_history_without_a_topic_and_silences_that_are_not_read_are_shown_once_that_lasts(tmp_path: Path) -> None:
    service = alerter(tmp_path)
    service._changelog.history.lost = 3
    assert "obsctl_alerter_history_lost_total 3" in metrics(service.health())
    for part in (service._changelog.history, service._silences):
        part.trouble, part.trouble_since = "the cluster has no topic t", time.monotonic()
    assert "the cluster has no topic" not in service.health().reason
    for part in (service._changelog.history, service._silences):
        part.trouble_since -= 31
    health = service.health()
    assert "silences: the cluster has no topic t" in health.reason
    assert "history: the cluster has no topic t" in health.reason
