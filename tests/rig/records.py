"""Log lines, and records as the shipper puts them into Kafka."""

from __future__ import annotations

import json
import time
from typing import Any


def record(
    line: str,
    offset: int,
    *,
    host: str = "node1",
    log_format: str = "json",
    log_input: str = "access",
    log_file: str = "",
) -> bytes:
    """Return a line as the shipper sends it; with ``log_file`` as one of an input of several logs."""
    return json.dumps(
        {
            "@timestamp": "2026-01-01T00:00:00.000Z",
            "message": line,
            "host": {"name": host},
            "log": {"offset": offset, "file": {"path": log_file or "/var/log/nginx/access.log"}},
            "fields": {"log_type": "access", "log_format": log_format, "log_input": log_input}
            | ({"log_files": "many"} if log_file else {}),
        }
    ).encode()


def as_shipped(value: bytes) -> bytes:
    """Return a record as Filebeat writes it: without blanks, and other letters than ASCII's unescaped."""
    return json.dumps(json.loads(value), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def json_line(number: int, *, msec: float | None = None, **changes: Any) -> str:
    """Return an access line in JSON with a number of its own; by default it happened now."""
    fields: dict[str, Any] = {
        "time": "2026-01-01T00:00:00+00:00",
        "msec": msec if msec is not None else round(time.time(), 3),
        "remote_addr": "198.51.100.7",
        "x_forwarded_for": "",
        "remote_user": "",
        "request_id": f"{number:032x}",
        "client_request_id": f"test-{number}",
        "host": "www.example.com",
        "method": "GET",
        "uri": f"/page/{number}?q=1",
        "protocol": "HTTP/1.1",
        "status": (200, 200, 200, 404, 500)[number % 5],
        "bytes": number % 5000,
        "request_length": 120,
        "request_time": number % 40 / 1000,
        "referer": "",
        "user_agent": "test/1.0",
        "upstream_addr": "10.0.0.1:8080",
        "upstream_status": "200",
        "upstream_response_time": "0.003",
        "upstream_connect_time": "0.001",
        "scheme": "http",
        "ssl_protocol": "",
        "ssl_cipher": "",
        "server": "node1",
    }
    return json.dumps(fields | changes)


def marked(line: str, mark: str) -> str:
    """Return a line in JSON as nginx writes it for a signed request of a test of an alert rule."""
    return f'{{"obscraft_test":"{mark}",{line[1:]}'
