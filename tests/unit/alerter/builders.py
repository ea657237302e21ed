"""Short ways to write rules and events."""

from __future__ import annotations

from itertools import count

from obsctl.alerter.engine import Engine
from obsctl.alerter.events import Event
from obsctl.alerter.rules.requests_per_client import RequestsPerClient
from obsctl.alerter.rules.rule import Level, Rule
from obsctl.alerter.rules.status_4xx import Status4xx
from obsctl.alerter.rules.status_5xx_share import Status5xxShare

#: A second to reckon from, seconds since the epoch.
T = 1_800_000_000
CLIENT = "203.0.113.9"

_identities = count(1)


def event(at: float, *, client: str = CLIENT, status: int = 200, host: str = "node1", identity: int = 0) -> Event:
    """Return one request, ``at`` seconds after T."""
    return Event(identity or next(_identities), T + at, client, status, host)


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
