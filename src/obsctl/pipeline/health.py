"""The process answers for itself on loopback: ``/health`` in JSON, ``/metrics`` for Prometheus."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator
from typing import Any

import msgspec

from obsctl.pipeline.telemetry import COMMIT_BOUNDS, Telemetry

_PREFIX = "obs_consumer"


def serve(telemetry: Telemetry, address: str, port: int) -> http.server.ThreadingHTTPServer:
    """Serve in a thread of its own; return the server (its ``server_port`` tells a port chosen by the system).

    Raises:
        OSError: the address cannot be bound.
    """

    class Handler(http.server.BaseHTTPRequestHandler):
        timeout = 5

        def do_GET(self) -> None:
            if self.path == "/health":
                state = telemetry.snapshot()
                body, kind = msgspec.json.encode(state), "application/json"
                code = 200 if state["status"] == "ok" else 503
            elif self.path == "/metrics":
                code, body, kind = 200, metrics(telemetry).encode(), "text/plain; version=0.0.4; charset=utf-8"
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


def metrics(telemetry: Telemetry) -> str:
    """Return the state in Prometheus' text format 0.0.4."""
    return "\n".join(_lines(telemetry)) + "\n"


def _lines(t: Telemetry) -> Iterator[str]:
    yield from _family("lines_total", "counter", "Records by what became of them.")
    for outcome, count in t.lines.items():
        yield f'{_PREFIX}_lines_total{{outcome="{outcome}"}} {count}'
    yield from _family("quarantined_total", "counter", "Records sent to the quarantine, known ones included.")
    for reason, count in sorted(t.quarantined_by_reason.items()):
        yield f'{_PREFIX}_quarantined_total{{reason="{reason}"}} {count}'
    for name, kind, text, value in (
        ("transactions_total", "counter", "Transactions made, repeated ones included.", t.attempts),
        ("fenced_total", "counter", "Batches dropped because another consumer had moved the positions.", t.fenced),
        ("missing_offsets_total", "counter", "Offsets that the broker no longer had.", t.missing_offsets),
        ("dead_letters_total", "counter", "Copies that the dead letter topic accepted.", t.dead_letters),
        ("troubles", "gauge", "Things in the way; 0 is well.", len(t.troubles)),
        ("database_up", "gauge", "1 if the database answers.", int("database" not in t.troubles)),
        ("last_commit_timestamp_seconds", "gauge", "When rows were stored last.", round(t.last_commit or 0, 3)),
        ("uptime_seconds", "gauge", "Age of the process.", round(time.time() - t.started, 1)),
    ):
        yield from _family(name, kind, text)
        yield f"{_PREFIX}_{name} {value}"
    yield from _family("commit_seconds", "histogram", "Time to store a batch; its count is that of the batches.")
    total = 0
    for bound, count in zip((*COMMIT_BOUNDS, "+Inf"), t.commit_buckets, strict=True):
        total += count
        yield f'{_PREFIX}_commit_seconds_bucket{{le="{bound}"}} {total}'
    yield f"{_PREFIX}_commit_seconds_sum {t.commit_seconds:.6f}"
    yield f"{_PREFIX}_commit_seconds_count {total}"
    yield from _family("lag", "gauge", "Records between the last one stored and the end of the partition.")
    for part, lag in sorted(t.lag.copy().items()):
        if lag is None:
            continue
        yield f'{_PREFIX}_lag{{topic="{part.topic}",partition="{part.partition}"}} {lag}'
    yield from _family("beyond_rows", "gauge", "Rows in the catch-all partition for the future (counted to a limit).")
    for table, count in sorted(t.beyond.copy().items()):
        yield f'{_PREFIX}_beyond_rows{{table="{table}"}} {count}'


def _family(name: str, kind: str, text: str) -> tuple[str, str]:
    return f"# HELP {_PREFIX}_{name} {text}", f"# TYPE {_PREFIX}_{name} {kind}"
