"""The one place that makes a command's report."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from obsctl.checks.headline import headline as headline_of
from obsctl.core.report import Fault, Finding, Ignored, Muted, Report, in_order, verdict
from obsctl.core.utc import timestamp
from obsctl.fleet.model import Fleet

F = TypeVar("F", bound=Finding)


@dataclass(frozen=True)
class Start:
    """When a command began.

    Attributes:
        at: the moment, for people.
        clock: the same on the monotonic clock (seconds), to measure the duration.
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
        headline: str | None = None,
        ignored: Iterable[Ignored] = (),
        muted: Iterable[Muted] = (),
        checked_at: datetime | None = None,
    ) -> Report:
        """Return the report of a command that ends now: causes first, the worst at the beginning, each with its page.

        Args:
            command: its name, such as ``verify lb``.
            headline: the worst of it in one line; by default made from findings and errors.
            ignored: what the command line takes from the verdict.
            muted: what a person has muted.
            checked_at: when the data was collected, if not now.
        """
        found = tuple(in_order([_with_page(finding) for finding in findings]))
        missing = tuple(errors)
        if headline is None:
            headline = headline_of(Fleet(), found, "", checked_at or self.at, missing)
        return Report(
            command=command,
            status=verdict(found, missing),
            checked_at=timestamp(checked_at or self.at),
            took_ms=round((time.monotonic() - self.clock) * 1000),
            headline=headline,
            findings=found,
            errors=missing,
            ignored=tuple(map(_with_page, ignored)),
            muted=tuple(map(_with_page, muted)),
            data=data,
        )


def _with_page(finding: F) -> F:
    """Return the finding with the name of its runbook page."""
    return msgspec.structs.replace(finding, doc=finding.doc or f"docs/runbooks/{finding.code}.md")
