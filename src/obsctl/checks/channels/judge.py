"""Whether the test message arrived: only the vendor's own success code is a delivery."""

from __future__ import annotations

from typing import Any

from obsctl.checks.channels.snapshot import ChannelsSnapshot
from obsctl.core.errors import ExitCode
from obsctl.core.report import Finding, Severity, Status, verdict

DELIVERED = "delivered"
THROTTLED = "throttled"
UNKNOWN = "unknown"
#: The finding for each of the alerter's verdicts except ``delivered``.
FINDINGS: dict[str, tuple[str, Severity]] = {
    "refused": ("ALERT_CHANNEL_REFUSED", Severity.CRITICAL),
    "redirected": ("ALERT_CHANNEL_REDIRECTED", Severity.CRITICAL),
    "unreachable": ("ALERT_CHANNEL_UNREACHABLE", Severity.CRITICAL),
    "deferred": ("ALERT_CHANNEL_DEFERRED", Severity.CRITICAL),
    UNKNOWN: ("ALERT_CHANNEL_UNKNOWN", Severity.UNKNOWN),
    THROTTLED: ("ALERT_CHANNEL_THROTTLED", Severity.WARNING),
}
#: The finding for a message that was delivered, but not to everybody.
PARTIAL = ("ALERT_CHANNEL_PARTIAL", Severity.WARNING)


def judge_channels(seen: ChannelsSnapshot) -> list[Finding]:
    """Return one finding for each channel that did not deliver to everybody."""
    found = []
    for attempt in seen.attempts:
        if attempt.verdict == DELIVERED and not attempt.hint:
            continue
        code, severity = PARTIAL if attempt.verdict == DELIVERED else FINDINGS[attempt.verdict]
        found.append(
            Finding(
                code=code,
                severity=severity,
                object=f"channel/{attempt.name}",
                summary=attempt.summary,
                evidence={"vendor_code": attempt.code, "took_ms": attempt.took_ms},
                hint=attempt.hint,
            )
        )
    return found


def exit_code(seen: ChannelsSnapshot) -> ExitCode:
    """Return the exit code: that of the findings, or THROTTLED if nothing worse happened."""
    status = verdict(judge_channels(seen), seen.errors)
    throttled = any(attempt.verdict == THROTTLED for attempt in seen.attempts)
    return ExitCode.THROTTLED if throttled and status is Status.WARNING else status.exit_code


def describe_channels(seen: ChannelsSnapshot) -> list[dict[str, Any]]:
    """Return the report's ``channels``; ``delivered`` is None if unknown."""
    return [
        {
            "name": attempt.name,
            "type": attempt.type,
            "delivered": None if attempt.verdict == UNKNOWN else attempt.verdict == DELIVERED,
            "verdict": attempt.verdict,
            "vendor_code": attempt.code,
            "took_ms": attempt.took_ms,
            "mentions": list(attempt.mentions),
        }
        for attempt in seen.attempts
    ]
