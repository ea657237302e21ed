"""What the alerter measures on its own host: free disk space, and when certificates expire."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from obsctl.alerter.metrics import disk
from obsctl.alerter.metrics.certificate import Certificates


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen.

    Attributes:
        disk_free: free share of disks, 0 to 1, by folder.
        certificate_days: days until a certificate ends, by path or ``HOST:PORT``; None for one that cannot be read.
    """

    disk_free: dict[str, float] = {}
    certificate_days: dict[str, float | None] = {}


def look(folders: Iterable[Path], certificates: Certificates, now: float) -> Machine:
    """Return what is seen now.

    Args:
        folders: on the disks.
        certificates: those that are watched.
        now: wall-clock time, seconds since the epoch.
    """
    return Machine(disk_free=disk.free_shares(folders), certificate_days=certificates.days_left(now))
