"""The unit's own pages."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from typing import Any

import msgspec
import pytest

from obsctl.consumer.telemetry import Telemetry
from obsctl.consumer.unit import health_page
from obsctl.consumer.unit.overview import Overview
from obsctl.core.consumer_page import ConsumerPage, Note, PartitionOnPage, WorkerOnPage
from obsctl.core.serve import Server
from tests.unit.consumer.unit.builders import busy, reported, unit, worker

SAMPLE = re.compile(r'[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? [0-9.+e-]+')


@pytest.fixture
def telemetry() -> Telemetry:
    return busy()


def test_metrics_are_well_formed(telemetry: Telemetry) -> None:
    own = Telemetry()
    own.beyond = {"access_log": 2}
    lines = health_page.metrics(unit(worker(0, reported(telemetry)), own=own)).splitlines()
    assert all(line.startswith("# ") or SAMPLE.fullmatch(line) for line in lines)
    described = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    used = {re.split(r"[{ ]", line)[0] for line in lines if not line.startswith("#")}
    assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in used} == described
    assert 'obsctl_consumer_lag{topic="nginxlog",partition="0"} 5' in lines
    assert 'obsctl_consumer_commit_seconds_bucket{le="0.05"} 1' in lines
    assert 'obsctl_consumer_commit_seconds_bucket{le="0.025"} 0' in lines
    assert 'obsctl_consumer_batch_records_bucket{le="10.0"} 0' in lines
    assert 'obsctl_consumer_batch_records_bucket{le="100.0"} 1' in lines
    assert "obsctl_consumer_transactions_total 3" in lines
    assert "obsctl_consumer_stuck_restarts_total 1" in lines
    assert "obsctl_consumer_database_up 1" in lines


def test_what_a_silent_worker_does_is_not_known(telemetry: Telemetry) -> None:
    telemetry.trouble("database", "away")
    seen = unit(worker(0, reported(telemetry), "silent", Note("it has sent no report for 9 s", "", "2026")))
    page = health_page.page(seen)
    assert page.status == "waiting"
    assert page.troubles.keys() == {"worker 0"}, "what it reported last may be over"
    assert [part.lag for part in page.partitions] == [None, None]
    assert page.workers[0].partitions == ("nginxlog/0", "nginxlog/1")
    lines = health_page.metrics(seen).splitlines()
    assert 'obsctl_consumer_worker_up{worker="0"} 0' in lines
    assert not [line for line in lines if line.startswith(("obsctl_consumer_lag", "obsctl_consumer_database_up"))]


def get(url: str) -> Any:
    return urllib.request.urlopen(url, timeout=5)  # noqa: S310  our own server


def test_pages(telemetry: Telemetry) -> None:
    def seen() -> Overview:
        return unit(worker(0, reported(telemetry)))

    server = Server(
        "127.0.0.1", 0, health=lambda: health_page.health(seen()), metrics=lambda: health_page.metrics(seen())
    )
    url = f"http://127.0.0.1:{server.port}"
    try:
        with get(f"{url}/health") as answer:
            state = json.load(answer)
        assert state["status"] == "ok"
        assert state["lines"] == {"stored": 1008, "quarantined": 1, "known": 2, "test": 4}
        assert state["partitions"][0] == {
            "topic": "nginxlog", "partition": 0, "lag": 5, "next_offset": 95, "end": 100, "worker": 0,
        }  # fmt: skip
        telemetry.trouble("database", "away", "look")
        with pytest.raises(urllib.error.HTTPError) as refused:
            get(f"{url}/health")
        assert refused.value.code == 503
        assert json.load(refused.value)["troubles"]["database"]["hint"] == "look"
        with pytest.raises(urllib.error.HTTPError, match="404"):
            get(f"{url}/else")
    finally:
        server.stop()


def test_the_page_survives_its_json(telemetry: Telemetry) -> None:
    page = health_page.page(unit(worker(0, reported(telemetry))))
    assert msgspec.json.decode(msgspec.json.encode(page), type=ConsumerPage) == page
    assert page.partitions[0] == PartitionOnPage(
        topic="nginxlog", partition=0, lag=5, next_offset=95, end=100, worker=0
    )
    assert page.workers == (
        WorkerOnPage(
            worker=0, state="running", pid=4711, restarts=2, stuck_restarts=1, partitions=("nginxlog/0", "nginxlog/1")
        ),
    )
    assert (page.started_at, page.newest_event) == ("2026-01-01T00:00:00.000+00:00", "2026-01-01 00:00:00.000")
    assert page.dead_letter_topic == "nginxlog-dlq"


def test_a_unit_that_has_just_started_knows_little_and_says_so() -> None:
    page = health_page.page(unit(worker(0, None, "starting", Note("it is starting", "", "2026"))))
    assert (page.status, page.newest_event, page.last_commit_at, page.partitions) == ("waiting", None, None, ())
