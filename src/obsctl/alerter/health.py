"""What the alerter says about itself: ``/health`` as JSON, ``/metrics`` for Prometheus."""

from __future__ import annotations

import enum
from collections.abc import Iterator

import msgspec

from obsctl.core import serve
from obsctl.core.serve import Metric, by_label, single

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
    labels: dict[str, str]
    incident: str
    started: int


class TopicRead(msgspec.Struct, frozen=True, kw_only=True):
    """A topic's id, and the next offset to read by partition."""

    id: str
    positions: dict[str, int]


class Role(enum.StrEnum):
    """Whether an alerter works, or waits until it has to."""

    ACTIVE = "active"
    STANDBY = "standby"


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The body of ``/health``.

    Attributes:
        role: whether this alerter is the active one; one that stands by reads and sends nothing.
        status: ``ok``; ``degraded`` when a message waits, a channel fails, some partitions are not read or counts were
            dropped to keep memory bounded; ``failing`` when no lines are read.
        reason: why it is not ok.
        lag: records in Kafka not read yet; None while no position is known.
        behind_s: by how much event time is behind the wall clock, seconds; None when unknown.
        last_event_at: time stated by the latest line counted, UTC; empty for none yet.
        counted: lines counted since the start.
        firing: conditions that are on.
        waiting: messages not delivered yet, over all channels.
        skipped: lines not counted since the start, by reason.
        suppressed: how many times each stage of a notification began to hold an alert back, since the start.
        history_lost: records that were not written since this alerter became active, because the history had no topic.
        evicted: keys whose counts were dropped to keep memory bounded, since the start, by rule.
        cluster: the cluster's id; empty while it is not known.
        topics: the topics that are read, by name.
    """

    schema: str = SCHEMA
    role: Role
    status: str
    reason: str
    lag: int | None = None
    behind_s: float | None = None
    last_event_at: str = ""
    counted: int = 0
    firing: int = 0
    waiting: int = 0
    skipped: dict[str, int] = {}
    evicted: dict[str, int] = {}
    alerts: tuple[ActiveAlert, ...] = ()
    suppressed: dict[str, int] = {}
    history_lost: int = 0
    channels: tuple[ChannelHealth, ...] = ()
    cluster: str = ""
    topics: dict[str, TopicRead] = {}


def standby(trouble: str) -> Health:
    """Return the body for an alerter that is not the active one.

    Args:
        trouble: why it could not become the active one; empty when it could.
    """
    return Health(role=Role.STANDBY, status="failing" if trouble else "ok", reason=trouble)


def page(health: Health) -> serve.Health:
    """Return the answer to ``/health``; only an alerter that reads nothing is not well."""
    return serve.Health(health.status != "failing", msgspec.json.encode(health))


def metrics(health: Health) -> str:
    """Return the same in Prometheus' text format."""
    return serve.exposition("obsctl_alerter", _metrics(health))


def _metrics(health: Health) -> Iterator[Metric]:
    yield single("up", "gauge", "1 while lines are read, or could be.", int(health.status != "failing"))
    yield single(
        "active", "gauge", "1 on the active alerter, 0 on one that stands by.", int(health.role is Role.ACTIVE)
    )
    yield single("lag_records", "gauge", "Records in Kafka not read yet.", health.lag)
    yield single("behind_seconds", "gauge", "By how much event time is behind the clock.", health.behind_s)
    yield single("events_counted_total", "counter", "Lines counted.", health.counted)
    yield by_label("events_skipped_total", "counter", "Lines not counted.", "reason", health.skipped)
    yield by_label(
        "keys_evicted_total",
        "counter",
        "Keys whose counts were dropped to keep memory bounded.",
        "rule",
        health.evicted,
    )
    yield by_label(
        "alerts_held_back_total", "counter", "Times that a stage held an alert back.", "stage", health.suppressed
    )
    yield single("history_lost_total", "counter", "Records of the history that were not written.", health.history_lost)
    yield single("alerts_firing", "gauge", "Conditions that are on.", health.firing)
    yield by_label(
        "outbox_waiting",
        "gauge",
        "Messages not delivered yet.",
        "channel",
        {channel.name: channel.waiting for channel in health.channels},
    )
    yield by_label(
        "channel_failures_in_a_row",
        "gauge",
        "Failed attempts since the last delivery.",
        "channel",
        {channel.name: channel.failures for channel in health.channels},
    )
