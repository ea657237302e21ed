"""Workers and units as their pages are made of."""

from __future__ import annotations

import msgspec

from obsctl.consumer.telemetry import Counters, Report, Telemetry
from obsctl.consumer.unit.overview import Overview, WorkerState, gather
from obsctl.core.consumer_page import Note
from obsctl.store.batch import Batch
from obsctl.store.interface import Outcome
from obsctl.store.quarantine import Quarantined
from tests.unit.consumer.doubles import PART

FIRST, SECOND = PART, PART._replace(partition=1)


def busy() -> Telemetry:
    """Return the telemetry of a worker that has stored a batch."""
    made = Telemetry()
    bad = Quarantined(b"", 1, 0, "json", "h", "parse", "", b"")
    batch = Batch({}, {}, quarantined=[bad], tests=4, newest_event={1: "2026-01-01 00:00:00.000"})
    made.assembled(11, 9, 0.001)
    made.stored(batch, Outcome(stored=8, quarantined=1, known=2, refused=0, attempts=3), 0.03)
    made.positions = {FIRST: 95, SECOND: None}
    return made


def reported(telemetry: Telemetry) -> Report:
    """Return the report that the supervisor receives."""
    return msgspec.json.decode(telemetry.report({FIRST: 100, SECOND: 7}), type=Report)


def worker(number: int, report: Report | None, state: str = "running", trouble: Note | None = None) -> WorkerState:
    return WorkerState(number, state, 4711, 2, 1, report, Counters(stored=1000, cpu_seconds=5.0), trouble)


def unit(*workers: WorkerState, own: Telemetry | None = None) -> Overview:
    return gather(
        own or Telemetry(),
        workers,
        started=1_767_225_600.0,
        lines_per_second=12.5,
        dead_letter_topic="nginxlog-dlq",
        behind_s=2.5,
    )
