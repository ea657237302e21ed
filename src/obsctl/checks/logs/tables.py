"""The tables in which people see this check."""

from __future__ import annotations

from obsctl.core.layout import Layout

#: Times in seconds since the request.
LOGS_LAYOUTS = (
    Layout("lines", "Lines", ("host", "backend", "state", "hop", "hops"), ("clock_s", "clock_error_s", "mark")),
    Layout(
        "shippers",
        "Shippers",
        ("host", "ships", "state", "undelivered_bytes", "waits_s", "newest_line", "stored"),
        ("acked", "failed", "removed_open_bytes", "clock_s", "clock_error_s"),
    ),
    Layout("files", "Files", (), ("host", "file", "size", "read", "delivered", "nginx_writes", "inputs")),
    Layout("plan", "Requests (not sent)", ("host", "target", "uri")),
)
TRACE_LAYOUTS = (
    Layout(
        "hops",
        "Hops",
        ("hop", "lines", "p50_ms", "p95_ms", "max_ms", "since_request_p50_ms", "since_request_p95_ms"),
    ),
    Layout("lines", "Lines", (), ("host", "backend", "state", "hop", "hops", "clock_s", "clock_error_s", "mark")),
)
