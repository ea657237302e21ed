"""What was seen of all layers at one moment."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from obsctl.checks.kafka.snapshot import KafkaSnapshot
from obsctl.checks.vip.snapshot import VipSnapshot
from obsctl.core.consumer_page import ConsumerPage
from obsctl.core.report import Fault


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


class NoPage(NamedTuple):
    """A health page that could not be had, and why: ``does not answer``, ``is unreadable (...)``."""

    why: str


Page = ConsumerPage | AlerterPage | NoPage


class Disk(msgspec.Struct, frozen=True, kw_only=True):
    """How full a file system is."""

    mount: str
    used_percent: int
    free_bytes: int


class HostProbe(msgspec.Struct, frozen=True, kw_only=True):
    """One host, asked over ssh.

    Attributes:
        failure: why there is no answer, empty when there is one.
        units: unit to what ``systemctl is-active`` said (``active``, ``failed``, ...).
        consumer, alerter: their health pages, None where there is none.
        no_page: service to why its page could not be had.
    """

    name: str
    failure: str = ""
    units: dict[str, str] = {}
    disks: tuple[Disk, ...] = ()
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
    """A back end's own ``/healthz``, asked directly from here; status None when there was no answer."""

    name: str
    status: int | None
    took_ms: int


class DatabaseProbe(msgspec.Struct, frozen=True, kw_only=True):
    """The row store, asked as the reading user.

    Attributes:
        asked: false where it could not even be asked from here; ``failure`` says why.
        failure: why there is no answer, empty when there is one.
        hint: what can be done about the failure, where the server itself named its error.
        behind_s: seconds since the newest stored row was stored, None for an empty store.
        quarantined_last_day: lines that went to quarantine in the last 24 hours.
        catch_all_rows: rows (as the server estimates them) in the partition for days that have none of their own.
    """

    asked: bool = True
    failure: str = ""
    hint: str = ""
    version: str = ""
    behind_s: int | None = None
    quarantined_last_day: int | None = None
    catch_all_rows: int | None = None


class HealthSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """All layers at one moment."""

    vip: VipSnapshot | None = None
    kafka: KafkaSnapshot | None = None
    hosts: tuple[HostProbe, ...] = ()
    backends: tuple[BackendProbe, ...] = ()
    database: DatabaseProbe | None = None
    errors: tuple[Fault, ...] = ()
