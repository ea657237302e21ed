"""Short ways to write rules and events."""

from __future__ import annotations

from itertools import count

from obsctl.alerter.engine import Engine
from obsctl.alerter.events import Event
from obsctl.alerter.rules import RequestsPerClient, Rule, Status4xx, Status5xxShare
from obsctl.core.report import Severity

#: A second to reckon from, seconds since the epoch.
T = 1_800_000_000
CLIENT = "203.0.113.9"

_identities = count(1)


def event(at: float, *, client: str = CLIENT, status: int = 200, host: str = "node1", identity: int = 0) -> Event:
    """Return one request, ``at`` seconds after T."""
    return Event(identity or next(_identities), T + at, client, status, host)


def rate(threshold: int = 100, *, name: str = "client-request-rate", window_s: int = 60, hold_s: int = 30) -> Rule:
    return RequestsPerClient(name, Severity.WARNING, window_s, hold_s, threshold)


def errors(threshold: int = 50, *, window_s: int = 60, hold_s: int = 30) -> Rule:
    return Status4xx("client-errors", Severity.WARNING, window_s, hold_s, threshold)


def share(part: float = 0.05, min_requests: int = 100, *, window_s: int = 60, hold_s: int = 30) -> Rule:
    return Status5xxShare("server-error-share", Severity.CRITICAL, window_s, hold_s, part, min_requests)


def engine(*rules: Rule) -> Engine:
    return Engine(rules or (rate(),), lateness_s=300, ahead_s=60)
