"""Acknowledgements: a person has seen a finding about an event that cannot be undone, such as a loss.

An acknowledged finding is information, not a warning. It becomes a warning again when its number has grown, or the
event is a later one: acknowledging 1,427 lost records says nothing about further ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import msgspec

from obsctl.core.errors import UsageError
from obsctl.core.report import Finding, Severity

#: Longest author and longest reason, characters.
LONGEST_TEXT = 500
#: Findings about an event, which stay until they are acknowledged: by code, the key of the evidence whose number can
#: grow. All other findings end by themselves when their cause is repaired.
NUMBERS = {"CONSUMER_RECORDS_LOST": "lost", "CONSUMER_NOTICE": "since_ms"}


class Acknowledgement(msgspec.Struct, frozen=True, kw_only=True):
    """One acknowledgement.

    Attributes:
        code: of the finding.
        object: of the finding.
        number: the number in the finding's evidence at that time; a greater one is not acknowledged.
        author: who acknowledged it.
        reason: of the acknowledgement.
        created: when (seconds since the epoch).
    """

    code: str
    object: str
    number: int
    author: str
    reason: str
    created: float

    @property
    def key(self) -> str:
        """Its key in the topic: a finding has one acknowledgement."""
        return hashlib.blake2b(f"{self.code}\0{self.object}".encode(), digest_size=8).hexdigest()


Acknowledgements = tuple[Acknowledgement, ...]


def made(finding: Finding, *, author: str, reason: str, now: float) -> Acknowledgement:
    """Return the acknowledgement of a finding with its present number.

    Raises:
        UsageError: the finding cannot be acknowledged, or a text is empty or too long.
    """
    refuse_state(finding.code)
    for name, text in (("author", author), ("reason", reason)):
        if not text.strip():
            raise UsageError(f"an acknowledgement needs {'an' if name == 'author' else 'a'} {name}")
        if len(text) > LONGEST_TEXT:
            raise UsageError(f"the {name} has {len(text)} characters; at most {LONGEST_TEXT} are allowed")
    return Acknowledgement(
        code=finding.code,
        object=finding.object,
        number=_number(finding),
        author=author.strip(),
        reason=reason.strip(),
        created=now,
    )


def refuse_state(code: str) -> None:
    """Refuse a code of findings about a state.

    Raises:
        UsageError: findings of this code end when their cause is repaired.
    """
    if code not in NUMBERS:
        raise UsageError(
            f"{code} cannot be acknowledged: it ends by itself when its cause is fixed",
            hint=f"only findings about an event can: {', '.join(sorted(NUMBERS))}",
        )


def applied(findings: Iterable[Finding], acknowledged: Sequence[Acknowledgement]) -> list[Finding]:
    """Return the findings, with acknowledged ones as information, including author and reason.

    Acknowledged findings that were information anyway are left out.
    """
    by_subject = {(one.code, one.object): one for one in acknowledged}
    weighed = (_weighed(finding, by_subject.get((finding.code, finding.object))) for finding in findings)
    return [finding for finding in weighed if finding is not None]


def _weighed(finding: Finding, one: Acknowledgement | None) -> Finding | None:
    if one is None or finding.code not in NUMBERS or _number(finding) > one.number:
        return finding
    if finding.severity is Severity.INFO:
        return None
    return msgspec.structs.replace(
        finding,
        severity=Severity.INFO,
        summary=f"{finding.summary} (acknowledged by {one.author}: {one.reason})",
        evidence={**finding.evidence, "acknowledged_by": one.author, "acknowledged_reason": one.reason},
        hint="",
    )


def _number(finding: Finding) -> int:
    return int(finding.evidence.get(NUMBERS[finding.code]) or 0)
