"""What a daemon shows of itself: ``/health`` (JSON) and ``/metrics`` (Prometheus), by one server and in one format.

Text format: https://prometheus.io/docs/instrumenting/exposition_formats/ (version 0.0.4).
"""

from __future__ import annotations

import http.server
import itertools
import logging
import math
import socket
import socketserver
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

LOG = logging.getLogger(__name__)

#: After this time without sending or receiving, a client's connection is closed (seconds).
SILENCE_S = 5.0
_NO_LABELS: Mapping[str, str] = {}


class Health(NamedTuple):
    """The answer to ``/health``.

    Attributes:
        well: whether the status is 200; otherwise 503, so that a probe need not read the body.
        body: JSON.
    """

    well: bool
    body: bytes


class Sample(NamedTuple):
    """One number of a metric.

    Attributes:
        value: a count, or a quantity in the unit that the metric's name ends in.
        labels: by name.
        suffix: ends the metric's name in this line (``_bucket``, ``_sum`` and ``_count`` of a histogram).
    """

    value: float
    labels: Mapping[str, str] = _NO_LABELS
    suffix: str = ""


class Metric(NamedTuple):
    """A metric with all its samples; what is not known has none.

    Attributes:
        name: without the daemon's prefix.
        kind: ``counter``, ``gauge`` or ``histogram``.
        text: what it counts, on one line.
        samples: in the order in which they are written.
    """

    name: str
    kind: str
    text: str
    samples: Sequence[Sample]


def single(name: str, kind: str, text: str, value: float | None) -> Metric:
    """Return a metric without labels; without a sample where the value is not known."""
    return Metric(name, kind, text, [] if value is None else [Sample(value)])


def by_label(name: str, kind: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    """Return a metric with one sample for each value of a label."""
    return Metric(name, kind, text, [Sample(value, {label: str(key)}) for key, value in values.items()])


def histogram(name: str, text: str, bounds: Sequence[float], counts: Sequence[int], total: float) -> Metric:
    """Return a histogram.

    Args:
        name: without the daemon's prefix.
        text: what it measures.
        bounds: upper bounds of the buckets, ascending, without the infinite one.
        counts: observations of each bucket alone, the infinite one last.
        total: sum of all observations.
    """
    reached = list(itertools.accumulate(counts))
    buckets = [
        Sample(count, {"le": "+Inf" if math.isinf(bound) else str(float(bound))}, "_bucket")
        for bound, count in zip((*bounds, math.inf), reached, strict=True)
    ]
    return Metric(
        name, "histogram", text, [*buckets, Sample(total, suffix="_sum"), Sample(reached[-1], suffix="_count")]
    )


def exposition(prefix: str, metrics: Iterable[Metric]) -> str:
    """Return metrics in Prometheus' text format 0.0.4.

    Args:
        prefix: stands before each name, such as ``obsctl_alerter``.
        metrics: one for each name.
    """
    lines = []
    for metric in metrics:
        name = f"{prefix}_{metric.name}"
        text = metric.text.replace("\\", "\\\\").replace("\n", "\\n")
        lines += [f"# HELP {name} {text}", f"# TYPE {name} {metric.kind}"]
        lines += [f"{name}{one.suffix}{_labels(one.labels)} {_number(one.value)}" for one in metric.samples]
    return "\n".join(lines) + "\n"


class Server(socketserver.ThreadingTCPServer):
    """Answers on a thread of its own until :meth:`stop`.

    Args:
        address: IP address to listen on.
        port: TCP port; 0 has the system choose one, see :attr:`port`.
        health: what ``/health`` answers; called from the server's threads.
        metrics: what ``/metrics`` answers; called from the server's threads.

    Raises:
        OSError: the address cannot be used.
    """

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, address: str, port: int, health: Callable[[], Health], metrics: Callable[[], str]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.health = health
        self.metrics = metrics
        super().__init__((address, port), _Handler)
        self._thread = threading.Thread(target=self.serve_forever, name="health", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The TCP port on which it listens."""
        return int(self.server_address[1])

    def stop(self) -> None:
        """Stop answering and release the port."""
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Log the error of a request, except if the client closed the connection."""
        del request, client_address
        LOG.debug("a request for the health page failed", exc_info=True)


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Server
    #: Bounds each wait for the client, so a silent one does not keep its thread for ever.
    timeout = SILENCE_S

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        try:
            if path == "/health":
                well, body = self.server.health()
                self._answer(200 if well else 503, "application/json", body)
            elif path == "/metrics":
                text = self.server.metrics().encode()
                self._answer(200, "text/plain; version=0.0.4; charset=utf-8", text)
            else:
                self._answer(404, "text/plain; charset=utf-8", b"there are /health and /metrics\n")
        except OSError:
            raise  # the client's connection
        except Exception:
            # If a page cannot be made, the daemon must look neither dead nor healthy.
            LOG.exception("the health page cannot be made", extra={"path": path})
            self._answer(500, "text/plain; charset=utf-8", b"internal error; the journal says more\n")

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Log nothing: a scrape every few seconds is no event."""


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    # 15 digits: what a double holds for sure; a counter above a million keeps its last digit.
    return f"{value:.15g}"
