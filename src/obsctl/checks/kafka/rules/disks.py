"""The brokers' log directories."""

from __future__ import annotations

from collections.abc import Iterator

from obsctl.checks.kafka.snapshot import LogDir
from obsctl.checks.kafka.view import ClusterView
from obsctl.core.report import Finding, Severity

#: Reported free shares of a broker's log directory.
DISK_WARNING = 0.15
DISK_CRITICAL = 0.05


def offline(view: ClusterView) -> Iterator[Finding]:
    """Log directories that a broker has taken offline."""
    for broker in view.seen.brokers:
        for directory in broker.log_dirs:
            if not directory.healthy:
                yield Finding(
                    code="KAFKA_LOG_DIR_OFFLINE",
                    severity=Severity.CRITICAL,
                    object=f"broker/{broker.node_id}",
                    summary=f"log directory {directory.path} is offline: the broker could not read or write it",
                    hint=f"on {broker.host}: dmesg | tail -50; df -h {directory.path}; ls -ld {directory.path}",
                )


def low(view: ClusterView) -> Iterator[Finding]:
    """Log directories that are nearly full."""
    for broker in view.seen.brokers:
        for directory in broker.log_dirs:
            free = free_share(directory)
            if free is not None and free < DISK_WARNING:
                yield Finding(
                    code="KAFKA_DISK_LOW",
                    severity=Severity.CRITICAL if free < DISK_CRITICAL else Severity.WARNING,
                    object=f"broker/{broker.node_id}",
                    summary=f"{directory.path} has {free:.0%} free; a full log directory stops the broker",
                    evidence={
                        "path": directory.path,
                        "free_share": round(free, 4),
                        "usable_bytes": directory.usable_bytes,
                        "log_bytes": directory.log_bytes,
                    },
                    hint=f"on {broker.host}: du -sh {directory.path}/* | sort -h | tail shows the largest topic; "
                    "shorten its retention in the inventory, or add disk space",
                )


def free_share(directory: LogDir) -> float | None:
    """Return the free share of the directory's volume (0 to 1); ``None`` if the broker does not report it."""
    if not directory.total_bytes or directory.usable_bytes is None:
        return None
    return directory.usable_bytes / directory.total_bytes
