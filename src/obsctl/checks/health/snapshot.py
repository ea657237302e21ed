"""What was seen of all layers at one moment."""

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
    """A channel of the alerter, as far as it is read: failures in a row, and when it tries again (epoch, seconds)."""

    name: str = ""
    failures: int = 0
    next_try: float = 0.0


class AlerterPage(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of the alerter's ``/health`` (``obsctl.alerter.health`` writes it); None where it does not say.

    Attributes:
        role: ``active`` or ``standby``.
        status: ``ok``, ``degraded`` or ``failing``.
        reason: why it is not ok.
        lag: records not read yet.
        behind_s: by how much event time is behind the clock, in seconds.
        counted: lines counted since the start.
        firing: conditions that are on.
        waiting: messages not delivered yet.
        channels: how each of them is doing.
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
    """A health page that could not be had, and why: ``does not answer``, ``is unreadable (...)``."""

    why: str


Page = ConsumerPage | AlerterPage | NoPage


class Disk(msgspec.Struct, frozen=True, kw_only=True):
    """A file system: what is free of it for programs that are not root's, and its size."""

    mount: str
    free_bytes: int
    total_bytes: int

    @property
    def free_share(self) -> float:
        """The free part, 0 to 1: the number that Kafka's brokers report of their log directories as well."""
        return self.free_bytes / self.total_bytes if self.total_bytes else 0.0


class HostProbe(msgspec.Struct, frozen=True, kw_only=True):
    """One host, asked over ssh.

    Attributes:
        failure: why there is no answer, empty when there is one.
        failure_kind: the same for programs; None where there is an answer, or where it is not ssh's failure.
        hint: what to do about the failure.
        units: unit to what ``systemctl is-active`` said (``active``, ``failed``, ...).
        processes: unit to the state of its main process as /proc has it, one letter (proc(5)); none for none.
        since: unit to when it came into its present state, ISO 8601 in UTC, where systemd knows it.
        silent: units that do not answer in time on a port that they serve on the host itself alone, and that port.
        clock: what its clock showed, None where it did not say.
        consumer, alerter: their health pages, None where there is none.
        no_page: service to why its page could not be had.
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
    """A back end's own ``/healthz``, asked directly from here; status None when there was no answer.

    Attributes:
        failure: why there was none, empty when there was one.
    """

    name: str
    status: int | None
    took_ms: int
    failure: str = ""


class DatabaseProbe(msgspec.Struct, frozen=True, kw_only=True):
    """Queries the database as the reading user.

    Attributes:
        asked: false where it could not even be asked from here; ``failure`` says why.
        failure: why there is no answer, empty when there is one.
        hint: what can be done about the failure, where it is known.
        untrusted: it answers, but no TLS connection comes about that can be trusted; ``failure`` says why.
        behind_s: seconds since the newest stored row was stored, None for an empty store.
        traffic_s: age of the newest request that is not obsctl's own, seconds; None where there was none lately.
        traffic_host: the balancer that answered it.
        quarantined_last_day: lines that went to quarantine in the last 24 hours.
        catch_all_rows: rows (as the server estimates them) in the partition for days that have none of their own.
        losses: records that were deleted before they were stored; None where the tables do not say (before 0004).
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
        acknowledged: what people have taken note of; read where there is something to be taken note of.
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
