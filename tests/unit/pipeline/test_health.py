"""The process's own pages."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from typing import Any

import pytest

from obsctl.pipeline import health
from obsctl.pipeline.batch import Batch, TopicPartition
from obsctl.pipeline.quarantine import Quarantined
from obsctl.pipeline.store import Outcome
from obsctl.pipeline.telemetry import Telemetry

SAMPLE = re.compile(r'[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? [0-9.+e-]+')


@pytest.fixture
def telemetry() -> Telemetry:
    made = Telemetry()
    bad = Quarantined(b"", 1, 0, "json", "h", "parse", "", b"")
    batch = Batch({}, {}, [], [], [bad], 11, 0, {1: "2026-01-01 00:00:00.000"})
    made.stored(batch, Outcome(stored=8, quarantined=1, known=2, refused=0, attempts=3), 0.03)
    made.lag = {TopicPartition("nginxlog", 0): 5}
    made.beyond = {"access_log": 2}
    return made


def test_metrics_are_well_formed(telemetry: Telemetry) -> None:
    lines = health.metrics(telemetry).splitlines()
    assert all(line.startswith("# ") or SAMPLE.fullmatch(line) for line in lines)
    described = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    used = {re.split(r"[{ ]", line)[0] for line in lines if not line.startswith("#")}
    assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in used} == described
    assert 'obs_consumer_lag{topic="nginxlog",partition="0"} 5' in lines
    assert 'obs_consumer_commit_seconds_bucket{le="0.05"} 1' in lines
    assert 'obs_consumer_commit_seconds_bucket{le="0.025"} 0' in lines
    assert "obs_consumer_transactions_total 3" in lines


def get(url: str) -> Any:
    return urllib.request.urlopen(url, timeout=5)  # noqa: S310  our own server


def test_pages(telemetry: Telemetry) -> None:
    server = health.serve(telemetry, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        with get(f"{url}/health") as answer:
            state = json.load(answer)
        assert state["status"] == "ok"
        assert state["lines"] == {"stored": 8, "quarantined": 1, "known": 2}
        assert state["partitions"] == [{"topic": "nginxlog", "partition": 0, "lag": 5}]
        telemetry.trouble("database", "away", "look")
        with pytest.raises(urllib.error.HTTPError) as refused:
            get(f"{url}/health")
        assert refused.value.code == 503
        assert json.load(refused.value)["troubles"]["database"]["hint"] == "look"
        with pytest.raises(urllib.error.HTTPError, match="404"):
            get(f"{url}/else")
    finally:
        server.shutdown()
        server.server_close()


def test_a_trouble_is_news_once(telemetry: Telemetry) -> None:
    assert telemetry.trouble("kafka", "away")
    assert not telemetry.trouble("kafka", "away")
    assert telemetry.trouble("kafka", "otherwise away")
    assert telemetry.clear("kafka")
    assert not telemetry.clear("kafka")
