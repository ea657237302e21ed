"""``obsctl alert test``: one marked message through each channel, and what that proves."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from obsctl.alerter.channels import Channel, ChannelSpec, Resolve
from obsctl.alerter.delivery import Delivery, Verdict
from obsctl.alerter.message import Message
from obsctl.core.errors import ExitCode
from obsctl.core.report import Finding, Severity, Status, verdict

#: More channels than that wait for each other.
_AT_ONCE = 8

_FINDINGS: dict[Verdict, tuple[str, Severity]] = {
    Verdict.REFUSED: ("ALERT_CHANNEL_REFUSED", Severity.CRITICAL),
    Verdict.REDIRECTED: ("ALERT_CHANNEL_REDIRECTED", Severity.CRITICAL),
    Verdict.UNREACHABLE: ("ALERT_CHANNEL_UNREACHABLE", Severity.CRITICAL),
    Verdict.DEFERRED: ("ALERT_CHANNEL_DEFERRED", Severity.CRITICAL),
    Verdict.UNKNOWN: ("ALERT_CHANNEL_UNKNOWN", Severity.UNKNOWN),
    Verdict.THROTTLED: ("ALERT_CHANNEL_THROTTLED", Severity.WARNING),
}


@dataclass(frozen=True)
class Trial:
    """What became of the test message in one channel.

    Attributes:
        name: the channel.
        type: its kind.
        delivery: the outcome.
        took_ms: until the outcome was known, milliseconds.
    """

    name: str
    type: str
    delivery: Delivery
    took_ms: int


def send_to_all(specs: Sequence[ChannelSpec], message: Message, resolve: Resolve) -> list[Trial]:
    """Send the message once through each channel, all at the same time.

    Raises:
        ConfigError: a secret cannot be read; nothing has been sent then.
    """
    channels = [(spec, spec.open(resolve)) for spec in specs]
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        return list(pool.map(lambda pair: _try(pair[0], pair[1], message), channels))


def preview_all(specs: Sequence[ChannelSpec], message: Message, resolve: Resolve) -> list[dict[str, Any]]:
    """Return what :func:`send_to_all` would send, secrets masked; sends nothing.

    Raises:
        ConfigError: a secret cannot be read.
    """
    return [{"name": spec.name, "type": spec.type, "request": spec.open(resolve).preview(message)} for spec in specs]


def findings(trials: Sequence[Trial]) -> list[Finding]:
    """Return one finding for each channel that did not deliver."""
    found = []
    for trial in trials:
        delivery = trial.delivery
        if delivery.delivered:
            continue
        code, severity = _FINDINGS[delivery.verdict]
        found.append(
            Finding(
                code=code,
                severity=severity,
                object=f"channel/{trial.name}",
                summary=delivery.summary,
                evidence={"vendor_code": delivery.code, "took_ms": trial.took_ms},
                hint=delivery.hint,
            )
        )
    return found


def exit_code(trials: Sequence[Trial]) -> ExitCode:
    """Return the exit code: that of the findings, or THROTTLED when nothing worse than that happened."""
    status = verdict(findings(trials), ())
    throttled = any(trial.delivery.verdict is Verdict.THROTTLED for trial in trials)
    return ExitCode.THROTTLED if throttled and status is Status.WARNING else status.exit_code


def rows(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """Return the report's ``channels``; ``delivered`` is None where nobody knows."""
    return [
        {
            "name": trial.name,
            "type": trial.type,
            "delivered": None if trial.delivery.verdict is Verdict.UNKNOWN else trial.delivery.delivered,
            "verdict": trial.delivery.verdict.value,
            "vendor_code": trial.delivery.code,
            "took_ms": trial.took_ms,
        }
        for trial in trials
    ]


def _try(spec: ChannelSpec, channel: Channel, message: Message) -> Trial:
    started = time.monotonic()
    delivery = channel.send(message)
    return Trial(spec.name, spec.type, delivery, round((time.monotonic() - started) * 1000))
