"""What every command promises: statuses, findings, the report and the exit codes.

This module is the output contract ``obsctl/v1``. It holds no logic beyond the order of severities, so that
collectors, checks, renderers and commands can share it without knowing each other.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Any

import msgspec

SCHEMA = "obsctl/v1"


class ExitCode(enum.IntEnum):
    """Process exit codes; 0-3 are the monitoring plugins' own, the others follow sysexits.h."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3
    USAGE = 64
    MISSING_DEPENDENCY = 69
    BUG = 70
    THROTTLED = 75
    REFUSED = 77
    CONFIG = 78
    INTERRUPTED = 130


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


class ObsctlError(Exception):
    """An expected failure: a message that says what is wrong and what to do, and its exit code.

    Attributes:
        exit_code: what the process returns.
        hint: the next step for the person, or an empty string.
    """

    exit_code: ExitCode = ExitCode.UNKNOWN

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(ObsctlError):
    """The command line cannot be carried out as given."""

    exit_code = ExitCode.USAGE


class ConfigError(ObsctlError):
    """A configuration or an inventory is invalid; the message names file and line where known."""

    exit_code = ExitCode.CONFIG


class MissingDependencyError(ObsctlError):
    """An optional program or library is absent."""

    exit_code = ExitCode.MISSING_DEPENDENCY


class RefusedError(ObsctlError):
    """A precheck or the person refused the action; nothing was changed."""

    exit_code = ExitCode.REFUSED
