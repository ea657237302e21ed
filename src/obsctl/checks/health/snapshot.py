"""What was seen of all layers at one moment."""

from __future__ import annotations

from typing import Any

import msgspec

from obsctl.checks.kafka.snapshot import KafkaSnapshot
from obsctl.checks.vip.snapshot import VipSnapshot
from obsctl.core.report import Fault


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
        services: ``consumer`` and ``alerter`` to the JSON of their health page, None where it did not answer.
    """

    name: str
    failure: str = ""
    units: dict[str, str] = {}
    disks: tuple[Disk, ...] = ()
    services: dict[str, dict[str, Any] | None] = {}

    @property
    def answered(self) -> bool:
        """Whether the host said anything."""
        return not self.failure


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
        behind_s: seconds since the newest stored row was stored, None for an empty store.
        quarantined_last_day: lines that went to quarantine in the last 24 hours.
        catch_all_rows: rows (as the server estimates them) in the partition for days that have none of their own.
    """

    asked: bool = True
    failure: str = ""
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
