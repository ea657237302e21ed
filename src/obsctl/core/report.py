"""The output contract of every command: statuses, findings and the report.

This module is the output contract ``obsctl/v1``. It holds no logic beyond the orders of severities and of causes, so
that collectors, checks, renderers and commands can share it without knowing each other.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
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


#: From the best to the worst. Missing data is never OK, and a proved fault is worse than missing data.
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


_WORST_FIRST = (Severity.CRITICAL, Severity.UNKNOWN, Severity.WARNING, Severity.INFO)


class Cause(msgspec.Struct, frozen=True):
    """Names the finding that another one follows from."""

    code: str
    object: str


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One named fault: a stable code, numbers as evidence, and what to run next.

    Attributes:
        since: when it began, ISO 8601 in UTC; empty where that is not known.
        caused_by: the findings of the same report that it follows from, several if only all of them together explain
            it; empty for a finding without a known cause.
    """

    code: str
    severity: Severity
    object: str
    summary: str
    evidence: dict[str, Any] = {}
    hint: str = ""
    doc: str = ""
    since: str = ""
    caused_by: tuple[Cause, ...] = ()


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Something that could not be found out; part of a report's ``errors``."""

    code: str
    object: str
    summary: str


class Ignored(Finding, frozen=True, kw_only=True):
    """A finding, or missing data, that the command line excludes from the verdict.

    Attributes:
        by: the option that does.
    """

    by: str

    @classmethod
    def of(cls, finding: Finding, *, by: str) -> Ignored:
        """Return the finding as one that is ignored."""
        return cls(**_fields(finding), by=by)


class Muted(Finding, frozen=True, kw_only=True):
    """A finding, or missing data, that a person has muted.

    Attributes:
        until: when the mute ends, if things do not get worse before.
        reason: the person's.
        author: the person.
    """

    until: str
    reason: str
    author: str

    @classmethod
    def of(cls, finding: Finding, *, until: str, reason: str, author: str) -> Muted:
        """Return the finding as one that is muted."""
        return cls(**_fields(finding), until=until, reason=reason, author=author)


def _fields(finding: Finding) -> dict[str, Any]:
    return {name: getattr(finding, name) for name in Finding.__struct_fields__}


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A command's whole answer, the same in every output format.

    Attributes:
        headline: the worst of it in one line, causes alone; empty where nothing is wrong.
        ignored: what the command line takes from the verdict; not among ``findings`` and ``errors``.
        muted: what a person has muted; not among them either.
    """

    command: str
    status: Status
    checked_at: str
    took_ms: int
    headline: str = ""
    schema: str = SCHEMA
    findings: tuple[Finding, ...] = ()
    errors: tuple[Fault, ...] = ()
    ignored: tuple[Ignored, ...] = ()
    muted: tuple[Muted, ...] = ()
    data: dict[str, Any] = {}


def verdict(findings: Iterable[Finding], errors: Iterable[Fault]) -> Status:
    """Return the status that findings and errors amount to; an error is missing data, hence UNKNOWN."""
    return worst([f.severity.status for f in findings] + [Status.UNKNOWN for _ in errors])


def in_order(findings: Sequence[Finding]) -> list[Finding]:
    """Return causes before what follows from others; of each the worst first, then what most of them follow from."""
    causes = {(cause.code, cause.object) for finding in findings for cause in finding.caused_by}
    weight = dict.fromkeys(causes, 0)
    for finding in findings:
        if (finding.code, finding.object) in causes:
            weight[finding.code, finding.object] = len(following([finding], findings))
    return sorted(
        findings,
        key=lambda f: (bool(f.caused_by), _WORST_FIRST.index(f.severity), -weight.get((f.code, f.object), 0)),
    )


def roots(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings without a cause among the given ones."""
    among = list(findings)
    names = {(finding.code, finding.object) for finding in among}
    return [one for one in among if not any((cause.code, cause.object) in names for cause in one.caused_by)]


def following(causes: Iterable[Finding], findings: Sequence[Finding]) -> list[Finding]:
    """Return what follows from some findings, directly or through others."""
    found: set[int] = set()
    names = {(cause.code, cause.object) for cause in causes}
    while more := {
        index
        for index, finding in enumerate(findings)
        if index not in found and any((cause.code, cause.object) in names for cause in finding.caused_by)
    }:
        found |= more
        names |= {(findings[index].code, findings[index].object) for index in more}
    return [findings[index] for index in sorted(found)]
