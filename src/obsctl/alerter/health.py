"""What the alerter says about itself: ``/health`` as JSON, ``/metrics`` for Prometheus."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

SCHEMA = "obsctl/alerter-health/v1"


class ChannelHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How a channel is doing; the times are seconds since the epoch, 0 for never."""

    name: str
    type: str
    waiting: int
    oldest: float
    verdict: str
    code: str
    summary: str
    at: float
    failures: int
    next_try: float


class ActiveAlert(msgspec.Struct, frozen=True, kw_only=True):
    """A condition that is on."""

    rule: str
    key: str
    incident: str
    started: int


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The body of ``/health``.

    Attributes:
        status: ``ok``; ``degraded`` when a message waits, a channel fails or counts are dropped for want of room;
            ``failing`` when no lines are read.
        reason: why it is not ok.
        lag: records in Kafka not read yet; None before the first answer.
        behind_s: by how much event time is behind the wall clock, seconds; None when unknown.
        last_event_at: time stated by the latest line counted, UTC; empty for none yet.
        counted: lines counted since the start.
        firing: conditions that are on.
        waiting: messages not delivered yet, over all channels.
        skipped: lines not counted since the start, by reason.
        evicted: keys whose counts were dropped for want of room since the start, by rule.
    """

    schema: str = SCHEMA
    status: str
    reason: str
    lag: int | None
    behind_s: float | None
    last_event_at: str
    counted: int
    firing: int
    waiting: int
    skipped: dict[str, int]
    evicted: dict[str, int]
    alerts: tuple[ActiveAlert, ...]
    channels: tuple[ChannelHealth, ...]
    cluster: dict[str, Any]


def metrics(health: Health) -> str:
    """Return the same in Prometheus' text format."""
    lines: list[str] = []

    def add(name: str, kind: str, text: str, values: list[tuple[str, float]]) -> None:
        lines.append(f"# HELP obsctl_alerter_{name} {text}")
        lines.append(f"# TYPE obsctl_alerter_{name} {kind}")
        lines.extend(f"obsctl_alerter_{name}{labels} {value:g}" for labels, value in values)

    add("up", "gauge", "1 while lines are read.", [("", float(health.status != "failing"))])
    if health.lag is not None:
        add("lag_records", "gauge", "Records in Kafka not read yet.", [("", health.lag)])
    if health.behind_s is not None:
        add("behind_seconds", "gauge", "By how much event time is behind the clock.", [("", health.behind_s)])
    add("events_counted_total", "counter", "Lines counted.", [("", health.counted)])
    add(
        "events_skipped_total",
        "counter",
        "Lines not counted.",
        [(f'{{reason="{reason}"}}', count) for reason, count in health.skipped.items()],
    )
    add(
        "keys_evicted_total",
        "counter",
        "Keys whose counts were dropped for want of room.",
        [(f'{{rule="{rule}"}}', keys) for rule, keys in health.evicted.items()],
    )
    add("alerts_firing", "gauge", "Conditions that are on.", [("", health.firing)])
    channels = health.channels
    add(
        "outbox_waiting",
        "gauge",
        "Messages not delivered yet.",
        [(f'{{channel="{c.name}"}}', c.waiting) for c in channels],
    )
    add(
        "channel_failures_in_a_row",
        "gauge",
        "Failed attempts since the last delivery.",
        [(f'{{channel="{c.name}"}}', c.failures) for c in channels],
    )
    return "\n".join(lines) + "\n"


def serve(address: str, port: int, look: Callable[[], Health]) -> ThreadingHTTPServer:
    """Serve on a thread of its own and return the server, for its ``shutdown``.

    Raises:
        OSError: the address is taken.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            health = look()
            if self.path == "/health":
                self._answer(
                    503 if health.status == "failing" else 200, "application/json", msgspec.json.encode(health)
                )
            elif self.path == "/metrics":
                self._answer(200, "text/plain; version=0.0.4", metrics(health).encode())
            else:
                self._answer(404, "text/plain", b"/health or /metrics\n")

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
            """Keep the journal for what matters."""

    server = ThreadingHTTPServer((address, port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server
