"""The unit's own pages, and how what its processes know is put together."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from typing import Any

import msgspec
import pytest

from obsctl.consumer.telemetry import Counters, Note, Report, Telemetry
from obsctl.consumer.unit import health_page
from obsctl.consumer.unit.overview import Overview, WorkerState, gather
from obsctl.core.serve import Server
from obsctl.kafka.partition import TopicPartition
from obsctl.store.batch import Batch
from obsctl.store.interface import Outcome
from obsctl.store.quarantine import Quarantined

SAMPLE = re.compile(r'[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? [0-9.+e-]+')
FIRST, SECOND = TopicPartition("nginxlog", 0), TopicPartition("nginxlog", 1)


@pytest.fixture
def busy() -> Telemetry:
    """A worker that has stored a batch."""
    made = Telemetry()
    bad = Quarantined(b"", 1, 0, "json", "h", "parse", "", b"")
    batch = Batch({}, {}, quarantined=[bad], newest_event={1: "2026-01-01 00:00:00.000"})
    made.assembled(11, 0.001)
    made.stored(batch, Outcome(stored=8, quarantined=1, known=2, refused=0, attempts=3), 0.03)
    made.positions = {FIRST: 95, SECOND: None}
    return made


def told(telemetry: Telemetry) -> Report:
    return msgspec.json.decode(telemetry.report({FIRST: 100, SECOND: 7}), type=Report)


def worker(number: int, report: Report | None, state: str = "running", trouble: Note | None = None) -> WorkerState:
    return WorkerState(number, state, 4711, 2, 1, report, Counters(stored=1000, cpu_seconds=5.0), trouble)


def unit(*workers: WorkerState, own: Telemetry | None = None) -> Overview:
    return gather(own or Telemetry(), workers, started=1_767_225_600.0, lines_per_second=12.5)


def test_metrics_are_well_formed(busy: Telemetry) -> None:
    own = Telemetry()
    own.beyond = {"access_log": 2}
    lines = health_page.metrics(unit(worker(0, told(busy)), own=own)).splitlines()
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


def test_counts_are_those_of_all_workers_and_survive_a_restart(busy: Telemetry) -> None:
    seen = unit(worker(0, told(busy)), worker(1, told(busy)), worker(2, None, "restarting"))
    assert seen.counters.stored == 3 * 1000 + 2 * 8
    assert seen.counters.by_reason == {"parse": 2}
    assert sum(seen.counters.commit.buckets) == 2


def test_what_a_silent_worker_does_is_not_known(busy: Telemetry) -> None:
    busy.trouble("database", "away")
    seen = unit(worker(0, told(busy), "silent", Note("it has said nothing for 9 s", "", "2026")))
    page = health_page.page(seen)
    assert page["status"] == "waiting"
    assert set(page["troubles"]) == {"worker 0"}, "what it said last may be over"
    assert [part["lag"] for part in page["partitions"]] == [None, None]
    assert page["workers"][0]["partitions"] == ["nginxlog/0", "nginxlog/1"]
    lines = health_page.metrics(seen).splitlines()
    assert 'obsctl_consumer_worker_up{worker="0"} 0' in lines
    assert not [line for line in lines if line.startswith(("obsctl_consumer_lag", "obsctl_consumer_database_up"))]


def test_a_partition_belongs_to_the_worker_that_is_heard(busy: Telemetry) -> None:
    seen = unit(worker(0, told(busy)), worker(1, told(busy), "silent"))
    assert [(placed.worker, placed.progress.lag) for placed in seen.partitions] == [(0, 5), (0, None)]


def test_a_trouble_of_several_is_told_once_since_its_beginning() -> None:
    early, late = Telemetry(), Telemetry()
    for telemetry, since in ((late, "2026-01-02"), (early, "2026-01-01")):
        telemetry.trouble("database", since)
        telemetry.troubles["database"] = Note(since, "look", since)
    seen = unit(worker(0, told(late)), worker(1, told(early)))
    assert seen.troubles == {"database": Note("2026-01-01", "look", "2026-01-01")}
    assert seen.database_up is False


def get(url: str) -> Any:
    return urllib.request.urlopen(url, timeout=5)  # noqa: S310  our own server


def test_pages(busy: Telemetry) -> None:
    server = Server(
        "127.0.0.1",
        0,
        health=lambda: health_page.health(unit(worker(0, told(busy)))),
        metrics=lambda: health_page.metrics(unit(worker(0, told(busy)))),
    )
    url = f"http://127.0.0.1:{server.port}"
    try:
        with get(f"{url}/health") as answer:
            state = json.load(answer)
        assert state["status"] == "ok"
        assert state["lines"] == {"stored": 1008, "quarantined": 1, "known": 2}
        assert state["partitions"][0] == {
            "topic": "nginxlog", "partition": 0, "lag": 5, "next_offset": 95, "end": 100, "worker": 0,
        }  # fmt: skip
        busy.trouble("database", "away", "look")
        with pytest.raises(urllib.error.HTTPError) as refused:
            get(f"{url}/health")
        assert refused.value.code == 503
        assert json.load(refused.value)["troubles"]["database"]["hint"] == "look"
        with pytest.raises(urllib.error.HTTPError, match="404"):
            get(f"{url}/else")
    finally:
        server.stop()


def test_a_trouble_is_news_once(busy: Telemetry) -> None:
    assert busy.trouble("kafka", "away")
    assert not busy.trouble("kafka", "away")
    assert busy.trouble("kafka", "otherwise away")
    assert busy.clear("kafka")
    assert not busy.clear("kafka")


def test_a_trouble_is_bounded(busy: Telemetry) -> None:
    busy.trouble("database", "x" * 100_000)
    assert len(busy.report({})) < 3000
