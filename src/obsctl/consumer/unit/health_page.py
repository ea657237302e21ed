"""The unit answers for itself on loopback: ``/health`` in JSON, ``/metrics`` for Prometheus."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from obsctl.consumer.telemetry import RECORDS_BOUNDS, SECONDS_BOUNDS, Histogram
from obsctl.consumer.unit.overview import Overview, iso

_PREFIX = "obs_consumer"


def serve(overview: Callable[[], Overview], address: str, port: int) -> http.server.ThreadingHTTPServer:
    """Serve in a thread of its own; return the server (its ``server_port`` tells a port chosen by the system).

    Raises:
        OSError: the address cannot be bound.
    """

    class Handler(http.server.BaseHTTPRequestHandler):
        timeout = 5

        def do_GET(self) -> None:
            if self.path == "/health":
                seen = overview()
                body, kind = msgspec.json.encode(page(seen)), "application/json"
                code = 200 if seen.status == "ok" else 503
            elif self.path == "/metrics":
                code, body, kind = 200, metrics(overview()).encode(), "text/plain; version=0.0.4; charset=utf-8"
            else:
                code, body, kind = 404, b"/health or /metrics\n", "text/plain"
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class names it so
            """Say nothing: a scrape every few seconds is no event."""

    server = http.server.ThreadingHTTPServer((address, port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server


def page(seen: Overview) -> dict[str, Any]:
    """Return ``/health`` as data for JSON."""
    counters = seen.counters
    return {
        "status": seen.status,
        "started_at": iso(seen.started),
        "troubles": seen.troubles,
        "notices": seen.notices,
        "lines": {"stored": counters.stored, "quarantined": counters.quarantined, "known": counters.known},
        "lines_per_second": seen.lines_per_second,
        "quarantined_by_reason": counters.by_reason,
        "batches": sum(counters.commit.buckets),
        "fenced": counters.fenced,
        "missing_offsets": counters.missing_offsets,
        "dead_letters": seen.dead_letters,
        "last_commit_at": iso(seen.last_commit),
        "last_row_at": iso(seen.last_row),
        "newest_event": seen.newest_event or None,
        "beyond": seen.beyond,
        "partitions": [
            {
                "topic": placed.progress.topic,
                "partition": placed.progress.partition,
                "lag": placed.progress.lag,
                "next_offset": placed.progress.next_offset,
                "end": placed.progress.end,
                "worker": placed.worker,
            }
            for placed in seen.partitions
        ],
        "workers": [
            {
                "worker": worker.number,
                "state": worker.state,
                "pid": worker.pid,
                "restarts": worker.restarts,
                "stuck_restarts": worker.stuck_restarts,
                "partitions": [
                    f"{placed.progress.topic}/{placed.progress.partition}"
                    for placed in seen.partitions
                    if placed.worker == worker.number
                ],
            }
            for worker in seen.workers
        ],
    }


def metrics(seen: Overview) -> str:
    """Return the state in Prometheus' text format 0.0.4. What is not known has no sample."""
    return "\n".join(_lines(seen)) + "\n"


def _lines(seen: Overview) -> Iterator[str]:
    counters = seen.counters
    yield from _family("lines_total", "counter", "Records by what became of them.")
    for outcome in ("stored", "quarantined", "known"):
        yield f'{_PREFIX}_lines_total{{outcome="{outcome}"}} {getattr(counters, outcome)}'
    yield from _family("quarantined_total", "counter", "Records sent to the quarantine, known ones included.")
    for reason, count in sorted(counters.by_reason.items()):
        yield f'{_PREFIX}_quarantined_total{{reason="{reason}"}} {count}'
    now = time.time()
    for name, kind, text, value in (
        ("transactions_total", "counter", "Transactions made, repeated ones included.", counters.attempts),
        (
            "fenced_total",
            "counter",
            "Batches dropped because another consumer had moved the positions.",
            counters.fenced,
        ),
        ("missing_offsets_total", "counter", "Offsets that the broker no longer had.", counters.missing_offsets),
        ("dead_letters_total", "counter", "Copies that the dead letter topic accepted.", seen.dead_letters),
        (
            "stuck_restarts_total",
            "counter",
            "Workers replaced because they were silent or stored nothing.",
            sum(worker.stuck_restarts for worker in seen.workers),
        ),
        ("troubles", "gauge", "Things in the way; 0 is well.", len(seen.troubles)),
        ("database_up", "gauge", "1 if the database answers all workers.", seen.database_up),
        ("lines_per_second", "gauge", "Records that went through in the last seconds.", seen.lines_per_second),
        ("last_commit_timestamp_seconds", "gauge", "When a batch was stored last.", seen.last_commit),
        ("last_row_age_seconds", "gauge", "Since a new row was stored last.", seen.last_row and now - seen.last_row),
        ("uptime_seconds", "gauge", "Age of the unit.", now - seen.started),
    ):
        yield from _family(name, kind, text)
        if value is not None:
            yield f"{_PREFIX}_{name} {round(float(value), 3):.15g}"
    yield from _histogram("commit_seconds", "Time to store a batch; its count is that of the batches.", counters.commit)
    yield from _histogram("assembly_seconds", "Time to parse a batch.", counters.assembly)
    yield from _histogram("batch_records", "Records in a batch.", counters.batch)
    yield from _family("lag", "gauge", "Records between the last one stored and the end of the partition.")
    for placed in seen.partitions:
        part = placed.progress
        if part.lag is not None:
            yield f'{_PREFIX}_lag{{topic="{part.topic}",partition="{part.partition}"}} {part.lag}'
    yield from _family("beyond_rows", "gauge", "Rows in the catch-all partition for the future (counted to a limit).")
    for table, count in sorted(seen.beyond.items()):
        yield f'{_PREFIX}_beyond_rows{{table="{table}"}} {count}'
    yield from _workers(seen)


def _workers(seen: Overview) -> Iterator[str]:
    yield from _family("worker_up", "gauge", "1 if the worker is heard.")
    for worker in seen.workers:
        yield f'{_PREFIX}_worker_up{{worker="{worker.number}"}} {int(worker.state == "running")}'
    yield from _family("worker_restarts_total", "counter", "How often the worker was started again.")
    for worker in seen.workers:
        yield f'{_PREFIX}_worker_restarts_total{{worker="{worker.number}"}} {worker.restarts}'
    yield from _family("worker_cpu_seconds_total", "counter", "CPU time of the worker's processes.")
    for worker in seen.workers:
        seconds = worker.past.cpu_seconds + (worker.report.counters.cpu_seconds if worker.report else 0)
        yield f'{_PREFIX}_worker_cpu_seconds_total{{worker="{worker.number}"}} {seconds:.3f}'


def _histogram(name: str, text: str, values: Histogram) -> Iterator[str]:
    yield from _family(name, "histogram", text)
    bounds = RECORDS_BOUNDS if name == "batch_records" else SECONDS_BOUNDS
    total = 0
    for bound, count in zip((*bounds, "+Inf"), values.buckets, strict=True):
        total += count
        yield f'{_PREFIX}_{name}_bucket{{le="{bound}"}} {total}'
    yield f"{_PREFIX}_{name}_sum {values.total:.6f}"
    yield f"{_PREFIX}_{name}_count {total}"


def _family(name: str, kind: str, text: str) -> tuple[str, str]:
    return f"# HELP {_PREFIX}_{name} {text}", f"# TYPE {_PREFIX}_{name} {kind}"
