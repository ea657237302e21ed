"""The unit's endpoints on loopback: ``/health`` in JSON, ``/metrics`` for Prometheus."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import msgspec

from obsctl.consumer.telemetry import RECORDS_BOUNDS, SECONDS_BOUNDS, Histogram
from obsctl.consumer.unit.overview import Overview
from obsctl.core import serve
from obsctl.core.consumer_page import ConsumerPage, LineCounts, PartitionOnPage, WorkerOnPage
from obsctl.core.serve import Health, Metric, Sample, by_label, histogram, single
from obsctl.core.utc import iso
from obsctl.kafka.partition import TopicPartition

_PREFIX = "obsctl_consumer"


def health(seen: Overview) -> Health:
    """Return the answer to ``/health``."""
    return Health(seen.status == "ok", msgspec.json.encode(page(seen)))


def page(seen: Overview) -> ConsumerPage:
    """Return the content of ``/health``."""
    counters = seen.counters
    return ConsumerPage(
        status=seen.status,
        started_at=_iso(seen.started),
        troubles=seen.troubles,
        notices=seen.notices,
        lines=LineCounts(
            stored=counters.stored, quarantined=counters.quarantined, known=counters.known, test=counters.test
        ),
        lines_per_second=seen.lines_per_second,
        quarantined_by_reason=counters.by_reason,
        batches=sum(counters.commit.buckets),
        fenced=counters.fenced,
        missing_offsets=counters.missing_offsets,
        native=counters.native,
        native_faults=counters.native_faults,
        dead_letters=seen.dead_letters,
        dead_letter_topic=seen.dead_letter_topic or None,
        last_commit_at=_iso(seen.last_commit),
        last_row_at=_iso(seen.last_row),
        newest_event=seen.newest_event or None,
        beyond=seen.beyond,
        partitions=tuple(
            PartitionOnPage(
                topic=placed.progress.topic,
                partition=placed.progress.partition,
                lag=placed.progress.lag,
                next_offset=placed.progress.next_offset,
                end=placed.progress.end,
                worker=placed.worker,
            )
            for placed in seen.partitions
        ),
        workers=tuple(
            WorkerOnPage(
                worker=worker.number,
                state=worker.state,
                pid=worker.pid,
                restarts=worker.restarts,
                stuck_restarts=worker.stuck_restarts,
                read_by=worker.report.read_by if worker.report else "",
                partitions=tuple(
                    str(TopicPartition(placed.progress.topic, placed.progress.partition))
                    for placed in seen.partitions
                    if placed.worker == worker.number
                ),
            )
            for worker in seen.workers
        ),
    )


def _iso(moment: float | None) -> str | None:
    return None if moment is None else iso(moment, "milliseconds")


def metrics(seen: Overview) -> str:
    """Return the state in Prometheus' text format. Unknown values have no sample."""
    return serve.exposition(_PREFIX, _metrics(seen))


def _metrics(seen: Overview) -> Iterator[Metric]:
    counters = seen.counters
    outcomes = {outcome: getattr(counters, outcome) for outcome in ("stored", "quarantined", "known", "test")}
    reasons = dict(sorted(counters.by_reason.items()))
    now = time.time()
    yield by_label("lines_total", "counter", "Records by result.", "outcome", outcomes)
    yield by_label(
        "quarantined_total", "counter", "Records sent to the quarantine, including known ones.", "reason", reasons
    )
    yield single("transactions_total", "counter", "Transactions, including repeated ones.", counters.attempts)
    yield single(
        "fenced_total", "counter", "Batches dropped because another consumer had moved the positions.", counters.fenced
    )
    yield single(
        "missing_offsets_total", "counter", "Offsets that the broker had already deleted.", counters.missing_offsets
    )
    yield single("native_records_total", "counter", "Records that the native module read.", counters.native)
    yield single(
        "native_faults_total",
        "counter",
        "Batches that were read in Python because the native module failed.",
        counters.native_faults,
    )
    yield single("dead_letters_total", "counter", "Copies that the dead letter topic accepted.", seen.dead_letters)
    yield single(
        "stuck_restarts_total",
        "counter",
        "Workers replaced because they did not report or stored nothing.",
        sum(worker.stuck_restarts for worker in seen.workers),
    )
    yield single("troubles", "gauge", "Troubles that prevent lines from being stored; 0 is good.", len(seen.troubles))
    yield single("database_up", "gauge", "1 if the database answers all workers.", seen.database_up)
    yield single("lines_per_second", "gauge", "Records that went through in the last seconds.", seen.lines_per_second)
    yield single("last_commit_timestamp_seconds", "gauge", "When a batch was last stored.", _rounded(seen.last_commit))
    yield single(
        "last_row_age_seconds",
        "gauge",
        "Time since a new row was last stored.",
        _rounded(seen.last_row and now - seen.last_row),
    )
    yield single("uptime_seconds", "gauge", "Age of the unit.", _rounded(now - seen.started))
    yield _histogram(
        "commit_seconds", "Time to store a batch; its count is that of the batches.", SECONDS_BOUNDS, counters.commit
    )
    yield _histogram("assembly_seconds", "Time to parse a batch.", SECONDS_BOUNDS, counters.assembly)
    yield _histogram("batch_records", "Records in a batch.", RECORDS_BOUNDS, counters.batch)
    yield Metric(
        "lag",
        "gauge",
        "Records between the last one stored and the end of the partition.",
        [
            Sample(part.lag, {"topic": part.topic, "partition": str(part.partition)})
            for part in (placed.progress for placed in seen.partitions)
            if part.lag is not None
        ],
    )
    yield by_label(
        "beyond_rows",
        "gauge",
        "Rows in the catch-all partition for the future (counted to a limit).",
        "table",
        dict(sorted(seen.beyond.items())),
    )
    yield single(
        "behind_seconds",
        "gauge",
        "How long the oldest record that is not yet stored has been waiting; 0 when all are stored.",
        _rounded(seen.behind_s),
    )
    yield from _workers(seen)


def _workers(seen: Overview) -> Iterator[Metric]:
    workers = {str(worker.number): worker for worker in seen.workers}
    yield by_label(
        "worker_up",
        "gauge",
        "1 if the worker answers.",
        "worker",
        {number: int(worker.state == "running") for number, worker in workers.items()},
    )
    yield by_label(
        "worker_restarts_total",
        "counter",
        "How often the worker was restarted.",
        "worker",
        {number: worker.restarts for number, worker in workers.items()},
    )
    yield by_label(
        "worker_cpu_seconds_total",
        "counter",
        "CPU time of the worker's processes.",
        "worker",
        {
            number: round(worker.past.cpu_seconds + (worker.report.counters.cpu_seconds if worker.report else 0), 3)
            for number, worker in workers.items()
        },
    )


def _histogram(name: str, text: str, bounds: Sequence[float], values: Histogram) -> Metric:
    return histogram(name, text, bounds, values.buckets, round(values.total, 6))


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
