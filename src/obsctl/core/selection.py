"""Which findings decide a verdict: those that a person has selected, without those that are to be ignored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from obsctl.core.report import Fault, Finding, Ignored, Severity


class Pattern(NamedTuple):
    """Some findings, as ``CODE`` or ``CODE=OBJECT``; ``*``, ``?`` and ``[…]`` in both are those of file names."""

    code: str
    object: str = "*"

    def fits(self, finding: Finding | Fault) -> bool:
        """Whether the finding is one of them."""
        return fnmatchcase(finding.code, self.code) and fnmatchcase(finding.object, self.object)

    def __str__(self) -> str:
        return self.code if self.object == "*" else f"{self.code}={self.object}"


class Judged(NamedTuple):
    """What a check found out and what it could not; what was taken from both."""

    findings: tuple[Finding, ...]
    errors: tuple[Fault, ...]
    ignored: tuple[Ignored, ...] = ()


def narrowed(
    findings: Iterable[Finding], errors: Iterable[Fault], select: Sequence[Pattern], ignore: Sequence[Pattern]
) -> Judged:
    """Return what is left of findings and errors.

    What could not be found out is left by ``select`` whatever its code is, since it may hide what was selected; only
    ``ignore`` takes it away.
    """
    kept: list[Finding] = []
    ignored: list[Ignored] = []
    for finding in findings:
        by = _ignoring(finding, ignore) or _not_selected(finding, select)
        if by:
            ignored.append(Ignored.of(finding, by=by))
        else:
            kept.append(finding)
    missing: list[Fault] = []
    for error in errors:
        if by := _ignoring(error, ignore):
            ignored.append(Ignored.of(as_finding(error), by=by))
        else:
            missing.append(error)
    return Judged(tuple(kept), tuple(missing), tuple(ignored))


def as_finding(error: Fault) -> Finding:
    """Return missing data as a finding, where both are treated alike."""
    return Finding(code=error.code, severity=Severity.UNKNOWN, object=error.object, summary=error.summary)


def _ignoring(finding: Finding | Fault, ignore: Sequence[Pattern]) -> str:
    return next((f"--ignore {pattern}" for pattern in ignore if pattern.fits(finding)), "")


def _not_selected(finding: Finding, select: Sequence[Pattern]) -> str:
    if not select or finding.severity is Severity.UNKNOWN or any(pattern.fits(finding) for pattern in select):
        return ""
    return "--select"
