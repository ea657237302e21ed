"""The alerter's health page: ``/health`` as JSON, ``/metrics`` for Prometheus."""

from __future__ import annotations

import enum
from collections.abc import Iterator

import msgspec

from obsctl.alerter.delivery.heartbeat import Pulse
from obsctl.alerter.windows.observation import SOURCE, Number
from obsctl.core import serve
from obsctl.core.rule_test import TestsOnPage
from obsctl.core.serve import Metric, Sample, by_label, single

PREFIX = "obsctl_alerter"
SCHEMA = "obsctl/alerter-health/v1"


class Attempted(msgspec.Struct, frozen=True, kw_only=True):
    """How many attempts since the start had the same outcome."""

    verdict: str
    code: str
    number: int


class ChannelHealth(msgspec.Struct, frozen=True, kw_only=True):
    """State of a channel; the times are seconds since the epoch, 0 for never.

    Attributes:
        unable_s: how long its oldest message has been waiting if the last attempt failed, seconds; 0 otherwise.
            Messages that are refused because of their own content do not count.
        dead: messages that were given up within the last day.
    """

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
    unable_s: float = 0.0
    dead: int = 0
    attempts: tuple[Attempted, ...] = ()


class ActiveAlert(msgspec.Struct, frozen=True, kw_only=True):
    """An alert that is firing."""

    rule: str
    labels: dict[str, str]
    incident: str
    started: int


class HeartbeatHealth(msgspec.Struct, frozen=True, kw_only=True):
    """State of the heartbeat.

    Attributes:
        accepted_at: when the external switch last accepted a request, seconds since the epoch; 0 for never.
        outcomes: how many were ``accepted``, ``failed`` and ``withheld`` since the start.
        failures: failed ones in a row.
        verdict: of the last request.
        summary: of the last request.
        why_withheld: why the last one was not sent; empty when it was.
    """

    accepted_at: float
    outcomes: dict[str, int]
    failures: int
    verdict: str
    summary: str
    why_withheld: str


def heartbeat_health(pulse: Pulse) -> HeartbeatHealth:
    """Return the page's part about the heartbeat."""
    return HeartbeatHealth(
        accepted_at=pulse.accepted_at,
        outcomes={"accepted": pulse.accepted, "failed": pulse.failed, "withheld": pulse.withheld},
        failures=pulse.failures,
        verdict=pulse.verdict,
        summary=pulse.summary,
        why_withheld=pulse.why_withheld,
    )


class TopicRead(msgspec.Struct, frozen=True, kw_only=True):
    """A topic's id, and the next offset to read by partition."""

    id: str
    positions: dict[str, int]


class Role(enum.StrEnum):
    """Whether an alerter is the active one or a standby."""

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
        last_event_at: time of the latest line counted, UTC; empty for none yet.
        counted: lines counted since the start.
        firing: alerts that are firing.
        waiting: messages not delivered yet, over all channels.
        skipped: lines not counted since the start, by reason.
        suppressed: how many times each notification stage began to hold an alert back, since the start.
        history_lost: records that were not written since this alerter became active, because the history's topic did
            not exist.
        evicted: keys whose counts were dropped to keep memory bounded, since the start, by rule.
        cluster: the cluster's id; empty while it is not known.
        topics: the topics that are read, by name.
        batches: batches that were read and judged since the start.
        keys: keys that are counted now, by rule.
        sources: why a metrics page cannot be read, empty where it can; by name.
        disk_free: free share of the disks that the alerter needs, 0 to 1, by folder.
        certificate_days: days until a certificate ends, by path; None for one that cannot be read.
        heartbeat: its state; None without one.
        tests: tests of rules (``obsctl alert test --rule NAME``), the latest 50.
        read_by: what reads the records, for people: the native module, or Python and why; empty on a standby.
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
    batches: int = 0
    keys: dict[str, int] = {}
    sources: dict[str, str] = {}
    disk_free: dict[str, float] = {}
    certificate_days: dict[str, float | None] = {}
    heartbeat: HeartbeatHealth | None = None
    tests: TestsOnPage = TestsOnPage()
    read_by: str = ""


def standby(trouble: str) -> Health:
    """Return the body for an alerter that is not the active one.

    Args:
        trouble: why it could not become the active one; empty when it could.
    """
    return Health(role=Role.STANDBY, status="failing" if trouble else "ok", reason=trouble)


def page(health: Health) -> serve.Health:
    """Return the answer to ``/health``; it is an error only if the alerter reads no lines."""
    return serve.Health(health.status != "failing", msgspec.json.encode(health))


def metrics(health: Health, now: float) -> str:
    """Return the same in Prometheus' text format.

    Args:
        health: what is known.
        now: wall-clock time, seconds since the epoch, for ages.
    """
    return serve.exposition(PREFIX, _metrics(health, now))


def own_numbers(source: str, health: Health, now: float) -> Iterator[Number]:
    """Yield the same numbers for rules of the kind ``metric``."""
    for metric in _metrics(health, now):
        for sample in metric.samples:
            yield Number(f"{PREFIX}_{metric.name}{sample.suffix}", {**sample.labels, SOURCE: source}, sample.value)


def _metrics(health: Health, now: float) -> Iterator[Metric]:
    yield single("up", "gauge", "1 while lines are read, or could be read.", int(health.status != "failing"))
    yield single("active", "gauge", "1 on the active alerter, 0 on a standby.", int(health.role is Role.ACTIVE))
    yield single("lag_records", "gauge", "Records in Kafka not read yet.", health.lag)
    yield single("behind_seconds", "gauge", "How far event time is behind the clock.", health.behind_s)
    yield single("batches_total", "counter", "Batches that were read and evaluated.", health.batches)
    yield single("events_counted_total", "counter", "Lines counted.", health.counted)
    yield by_label("events_skipped_total", "counter", "Lines not counted.", "reason", health.skipped)
    yield by_label("keys", "gauge", "Keys that are currently counted.", "rule", health.keys)
    yield by_label(
        "keys_evicted_total",
        "counter",
        "Keys whose counts were dropped to keep memory bounded.",
        "rule",
        health.evicted,
    )
    yield by_label(
        "alerts_held_back_total", "counter", "How often a stage suppressed an alert.", "stage", health.suppressed
    )
    yield single("history_lost_total", "counter", "Records of the history that were not written.", health.history_lost)
    yield single("alerts_firing", "gauge", "Conditions that are true.", health.firing)
    yield by_label(
        "outbox_waiting",
        "gauge",
        "Messages not delivered yet.",
        "channel",
        {channel.name: channel.waiting for channel in health.channels},
    )
    yield by_label(
        "outbox_oldest_seconds",
        "gauge",
        "Age of the oldest message not delivered yet.",
        "channel",
        {c.name: round(max(0.0, now - c.oldest), 1) if c.waiting else 0.0 for c in health.channels},
    )
    yield by_label(
        "channel_failures_in_a_row",
        "gauge",
        "Failed attempts since the last delivery.",
        "channel",
        {channel.name: channel.failures for channel in health.channels},
    )
    yield by_label(
        "channel_unable_seconds",
        "gauge",
        "How long a message has been waiting for a channel whose last attempt failed; 0 is good.",
        "channel",
        {channel.name: channel.unable_s for channel in health.channels},
    )
    yield Metric(
        "deliveries_total",
        "counter",
        "Attempts to deliver, by verdict and the vendor's code.",
        [
            Sample(found.number, {"channel": channel.name, "verdict": found.verdict, "code": found.code})
            for channel in health.channels
            for found in channel.attempts
        ],
    )
    yield by_label(
        "dead_letters",
        "gauge",
        "Messages that were abandoned within the last day.",
        "channel",
        {channel.name: channel.dead for channel in health.channels},
    )
    yield by_label(
        "source_up",
        "gauge",
        "1 if the page of numbers could be read.",
        "name",
        {name: int(not problem) for name, problem in health.sources.items()},
    )
    yield by_label("disk_free_share", "gauge", "Free part of the disk, 0 to 1.", "path", health.disk_free)
    yield by_label(
        "certificate_days",
        "gauge",
        "Days until the certificate ends.",
        "path",
        {path: days for path, days in health.certificate_days.items() if days is not None},
    )
    pulse = health.heartbeat
    yield by_label("heartbeats_total", "counter", "Heartbeats by result.", "outcome", pulse.outcomes if pulse else {})
    yield single(
        "heartbeat_age_seconds",
        "gauge",
        "Time since the dead man's switch last accepted a heartbeat.",
        round(max(0.0, now - pulse.accepted_at), 1) if pulse and pulse.accepted_at else None,
    )
