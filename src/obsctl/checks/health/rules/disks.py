"""The hosts' file systems."""

from __future__ import annotations

from collections.abc import Iterator

from obsctl.checks.health.snapshot import HostProbe
from obsctl.core.report import Finding, Severity

#: Free share of a file system. Below the first one it will be full in days, below the second one in hours.
DISK_WARNING = 0.15
DISK_CRITICAL = 0.05


def low(probe: HostProbe) -> Iterator[Finding]:
    """File systems that are nearly full."""
    for disk in probe.disks:
        if disk.free_share < DISK_WARNING:
            yield Finding(
                code="HEALTH_DISK_FULL",
                severity=Severity.CRITICAL if disk.free_share < DISK_CRITICAL else Severity.WARNING,
                object=f"host/{probe.name}",
                summary=f"{disk.mount} has {disk.free_share:.0%} free, {disk.free_bytes // 2**20} MiB",
                evidence={
                    "mount": disk.mount,
                    "free_share": round(disk.free_share, 4),
                    "free_bytes": disk.free_bytes,
                    "total_bytes": disk.total_bytes,
                },
                hint=f"on {probe.name}: du -xh {disk.mount} --max-depth 3 | sort -h | tail",
            )
