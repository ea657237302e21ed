"""What every command promises: statuses, findings and the report.

This module is the output contract ``obsctl/v1``. It holds no logic beyond the order of severities, so that
collectors, checks, renderers and commands can share it without knowing each other.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Any

import msgspec

from obsctl.core.errors import ExitCode

SCHEMA = "obsctl/v1"


class Status(enum.StrEnum):
    """The verdict of a whole command."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"
    UNKNOWN = "unknown"

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of a command that ends with this status."""
        return ExitCode[self.name]


#: From harmless to worst. Missing data is never OK, and a proved fault outranks missing data.
_ORDER = (Status.OK, Status.WARNING, Status.UNKNOWN, Status.CRITICAL)


def worst(statuses: Iterable[Status]) -> Status:
    """Return the worst of the statuses (critical > unknown > warning > ok); OK for none."""
    return max(statuses, key=_ORDER.index, default=Status.OK)


class Severity(enum.StrEnum):
    """How bad a finding is. ``INFO`` never changes the verdict."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"
    UNKNOWN = "unknown"

    @property
    def status(self) -> Status:
        """The status that a finding of this severity gives to the report."""
        return Status.OK if self is Severity.INFO else Status(self.value)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One named fault: a stable code, numbers as evidence, and what to run next."""

    code: str
    severity: Severity
    object: str
    summary: str
    evidence: dict[str, Any] = {}
    hint: str = ""
    doc: str = ""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Something that could not be found out; part of a report's ``errors``."""

    code: str
    object: str
    summary: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A command's whole answer, the same in every output format."""

    command: str
    status: Status
    checked_at: str
    took_ms: int
    schema: str = SCHEMA
    findings: tuple[Finding, ...] = ()
    errors: tuple[Fault, ...] = ()
    data: dict[str, Any] = {}


def verdict(findings: Iterable[Finding], errors: Iterable[Fault]) -> Status:
    """Return the status that findings and errors amount to; an error is missing data, hence UNKNOWN."""
    return worst([f.severity.status for f in findings] + [Status.UNKNOWN for _ in errors])
