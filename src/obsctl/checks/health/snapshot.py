"""All layers at one moment."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from obsctl.checks.certs.snapshot import CertsSnapshot
from obsctl.checks.consumer.loss import StoredLoss
from obsctl.checks.health.clocks import Clock
from obsctl.checks.kafka.snapshot import KafkaSnapshot
from obsctl.checks.logs.snapshot import LogsSnapshot
from obsctl.checks.vip.snapshot import VipSnapshot
from obsctl.core.acknowledgement import Acknowledgement
from obsctl.core.consumer_page import ConsumerPage
from obsctl.core.report import Fault
from obsctl.fleet.login import FailureKind


class ChannelOnPage(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of an alerter's channel: failures in a row, and its next try (seconds since the epoch)."""

    name: str = ""
    failures: int = 0
    next_try: float = 0.0


class AlerterPage(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of the alerter's ``/health`` that are read (``obsctl.alerter.health`` writes it); None if missing.

    Attributes:
        role: ``active`` or ``standby``.
        status: ``ok``, ``degraded`` or ``failing``.
        reason: why it is not ok.
        lag: records not read yet.
        behind_s: by how much event time is behind the clock, seconds.
        counted: lines counted since the start.
        firing: alerts that are firing.
        waiting: messages not delivered yet.
        channels: state of each channel.
    """

    role: str = ""
    status: str = ""
    reason: str = ""
    lag: int | None = None
    behind_s: float | None = None
    last_event_at: str | None = None
    counted: int | None = None
    firing: int | None = None
    waiting: int | None = None
    channels: tuple[ChannelOnPage, ...] = ()


class NoPage(NamedTuple):
    """A health page that could not be fetched, and why: ``does not answer``, ``is unreadable (...)``."""

    why: str


Page = ConsumerPage | AlerterPage | NoPage


class Disk(msgspec.Struct, frozen=True, kw_only=True):
    """A file system: the space that is free for programs other than root's, and its size."""

    mount: str
    free_bytes: int
    total_bytes: int

    @property
    def free_share(self) -> float:
        """The free share, 0 to 1: the same measure that Kafka's brokers report for their log directories."""
        return self.free_bytes / self.total_bytes if self.total_bytes else 0.0


class HostProbe(msgspec.Struct, frozen=True, kw_only=True):
    """One host, asked over ssh.

    Attributes:
        failure: why there is no answer, empty when there is one.
        failure_kind: kind of the failure, for programs; None if there is an answer or the failure is not ssh's.
        hint: what to do about the failure.
        units: unit to the output of ``systemctl is-active`` (``active``, ``failed``, ...).
        processes: unit to the state of its main process in /proc, one letter (proc(5)); units without a process are
            left out.
        since: unit to when it entered its present state, ISO 8601 in UTC, if systemd knows it.
        silent: units that do not answer in time on a port that only the host itself can reach, and that port.
        clock: a reading of its clock; None if unknown.
        consumer, alerter: their health pages; None if there is none.
        no_page: service to why its page could not be fetched.
    """

    name: str
    failure: str = ""
    failure_kind: FailureKind | None = None
    hint: str = ""
    units: dict[str, str] = {}
    processes: dict[str, str] = {}
    since: dict[str, str] = {}
    silent: dict[str, int] = {}
    disks: tuple[Disk, ...] = ()
    clock: Clock | None = None
    consumer: ConsumerPage | None = None
    alerter: AlerterPage | None = None
    no_page: dict[str, str] = {}

    @property
    def answered(self) -> bool:
        """Whether the host answered at all."""
        return not self.failure

    @property
    def pages(self) -> dict[str, Page]:
        """The health pages that were asked for, by service."""
        pages: dict[str, Page] = {service: NoPage(why) for service, why in self.no_page.items()}
        for service, page in (("consumer", self.consumer), ("alerter", self.alerter)):
            if page is not None:
                pages[service] = page
        return pages


class BackendProbe(msgspec.Struct, frozen=True, kw_only=True):
    """A back end's own ``/healthz``, requested directly from here; status None if there was no answer.

    Attributes:
        failure: why there was none; empty if there was one.
    """

    name: str
    status: int | None
    took_ms: int
    failure: str = ""


class DatabaseProbe(msgspec.Struct, frozen=True, kw_only=True):
    """The database, queried as the reading user.

    Attributes:
        asked: false if it could not be queried from here at all; ``failure`` says why.
        failure: why there is no answer, empty when there is one.
        hint: what to do about the failure, if known.
        untrusted: whether it answers, but not over a trusted TLS connection; ``failure`` says why.
        behind_s: seconds since the newest row was stored; None if there are no rows.
        traffic_s: age of the newest request that is not obsctl's own, seconds; None if there was none recently.
        traffic_host: the balancer that answered it.
        quarantined_last_day: lines put into quarantine within the last 24 hours.
        catch_all_rows: rows (by the server's estimate) in the partition for days without one of their own.
        losses: records that were deleted before they were stored; None if the tables have no such column (before
            0004).
    """

    asked: bool = True
    failure: str = ""
    hint: str = ""
    untrusted: bool = False
    version: str = ""
    behind_s: int | None = None
    traffic_s: int | None = None
    traffic_host: str = ""
    quarantined_last_day: int | None = None
    catch_all_rows: int | None = None
    losses: tuple[StoredLoss, ...] | None = None


class HealthSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """All layers at one moment.

    Attributes:
        acknowledged: people's acknowledgements; only read if a finding can be acknowledged.
    """

    vip: VipSnapshot | None = None
    kafka: KafkaSnapshot | None = None
    hosts: tuple[HostProbe, ...] = ()
    backends: tuple[BackendProbe, ...] = ()
    database: DatabaseProbe | None = None
    logs: LogsSnapshot | None = None
    certificates: CertsSnapshot | None = None
    acknowledged: tuple[Acknowledgement, ...] = ()
    errors: tuple[Fault, ...] = ()
