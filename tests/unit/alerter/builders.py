"""Short ways to write rules and events."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from typing import Any

from obsctl.alerter.alerts import Level
from obsctl.alerter.evaluation.engine import Engine
from obsctl.alerter.rules.requests_per_client import RequestsPerClient
from obsctl.alerter.rules.rule import Rule
from obsctl.alerter.rules.status_4xx import Status4xx
from obsctl.alerter.rules.status_5xx_share import Status5xxShare
from obsctl.lines.event import Event
from obsctl.lines.formats.line import AccessLine, ErrorLine

#: A second to reckon from, seconds since the epoch.
T = 1_800_000_000
CLIENT = "203.0.113.9"

_identities = count(1)
#: An odd number: identities are spread over all 64 bits, as hashes are.
_SPREAD = 0x9E3779B97F4A7C15


def event(
    at: float, *, client: str = CLIENT, status: int = 200, host: str = "node1", identity: int = 0, **fields: Any
) -> Event:
    """Return one request, ``at`` seconds after T."""
    line = AccessLine(written(at), client, status, 0, host=host, **fields)
    return Event(identity or next(_identities) * _SPREAD % 2**64, T + at, line)


def error_event(at: float, *, level: str = "error", message: str = "upstream timed out", **fields: Any) -> Event:
    """Return one line of an error log, ``at`` seconds after T."""
    line = ErrorLine(written(at), level, 1, 1, message, host="node1", **fields)
    return Event(next(_identities) * _SPREAD % 2**64, T + at, line)


def written(at: float) -> str:
    """Return the time as lines have it, ``at`` seconds after T."""
    return datetime.fromtimestamp(T + at, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def rate(threshold: int = 100, *, name: str = "client-request-rate", window_s: int = 60, hold_s: int = 30) -> Rule:
    return RequestsPerClient(name=name, window_s=window_s, resolve_after_s=hold_s, threshold=threshold)


def errors(threshold: int = 50, *, window_s: int = 60, hold_s: int = 30) -> Rule:
    return Status4xx(name="client-errors", window_s=window_s, resolve_after_s=hold_s, threshold=threshold)


def share(part: float = 0.05, min_requests: int = 100, *, window_s: int = 60, hold_s: int = 30) -> Rule:
    return Status5xxShare(
        name="server-error-share",
        severity=Level.CRITICAL,
        window_s=window_s,
        resolve_after_s=hold_s,
        share=part,
        min_requests=min_requests,
    )


def engine(*rules: Rule) -> Engine:
    return Engine(rules or (rate(),), lateness_s=300, ahead_s=60)
