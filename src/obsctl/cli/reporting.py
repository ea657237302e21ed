"""The one place that makes a command's report."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from obsctl.core.report import Fault, Finding, Report, Severity, verdict
from obsctl.core.utc import timestamp

_BY_SEVERITY = [Severity.CRITICAL, Severity.UNKNOWN, Severity.WARNING, Severity.INFO]


@dataclass(frozen=True)
class Start:
    """When a command began.

    Attributes:
        at: the moment, for people.
        clock: the same on the monotonic clock (seconds), for how long it took.
    """

    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    clock: float = field(default_factory=time.monotonic)

    def report(
        self,
        command: str,
        data: dict[str, Any],
        findings: Iterable[Finding] = (),
        errors: Iterable[Fault] = (),
        *,
        checked_at: datetime | None = None,
    ) -> Report:
        """Return the report of a command that ends now: the worst findings first, each with its page.

        Args:
            command: its name, such as ``verify lb``.
            checked_at: when the data was collected, where that was not now.
        """
        found = tuple(sorted(map(_with_page, findings), key=lambda finding: _BY_SEVERITY.index(finding.severity)))
        missing = tuple(errors)
        return Report(
            command=command,
            status=verdict(found, missing),
            checked_at=timestamp(checked_at or self.at),
            took_ms=round((time.monotonic() - self.clock) * 1000),
            findings=found,
            errors=missing,
            data=data,
        )


def _with_page(finding: Finding) -> Finding:
    """Return the finding with the name of its runbook page."""
    return msgspec.structs.replace(finding, doc=finding.doc or f"docs/runbooks/{finding.code}.md")
