"""What the alerter says about itself when its memory is not enough."""

from __future__ import annotations

import time
from pathlib import Path

from obsctl.alerter.config import load
from obsctl.alerter.health import metrics
from obsctl.alerter.service import Alerter
from tests.unit.alerter.builders import T, event

RULE = "client-request-rate"


def alerter(folder: Path) -> Alerter:
    path = folder / "alerter.yml"
    path.write_text(
        f"kafka: {{bootstrap: ['127.0.0.1:1'], group: g, topics: {{access: t, error: e}}}}\nstate: {folder}/state.db\n"
        "channels: []\ndatabase: obs\ntrusted_proxies: []\nerror_log_timezone: UTC\nlanguage: en\n"
        "health: {address: 127.0.0.1, port: 9601}\n"
        "rules: [{name: client-request-rate, kind: requests_per_client, threshold: 100}]\n"
    )
    return Alerter(load(path))


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
