"""Mutes: findings that a person knows do not decide the verdict for a while, unless they get worse."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from obsctl.core.decoding import Moment
from obsctl.core.report import Fault, Finding, Muted, Severity, worst
from obsctl.core.selection import Pattern, as_finding
from obsctl.core.utc import timestamp

#: How long an ended mute is still listed, so that people see why its findings count again.
KEPT = timedelta(days=1)
#: Tolerated backward change of the clock; a mute that began further in the future would count for longer than
#: requested.
_STEP = timedelta(minutes=5)
#: Findings older than this do not show the state at the time of a mute.
_SIGHT_COUNTS = timedelta(hours=1)


class Extent(msgspec.Struct, frozen=True):
    """How bad the muted findings were.

    Attributes:
        severity: the worst.
        objects: what they were about.
        count: of how many things they spoke: a finding about all of Kafka counts its partitions.
    """

    severity: Severity
    objects: tuple[str, ...]
    count: int


class Mute(msgspec.Struct, frozen=True, kw_only=True):
    """One mute.

    Attributes:
        code: of the findings; may be a pattern.
        object: of the findings; may be a pattern.
        extents: by command, because each names and counts objects in its own way: the extent when muted, or when that
            command first had the findings.
        ended: why and when it ended early; empty while it counts.
    """

    code: str
    object: str
    created: Moment
    until: Moment
    reason: str
    author: str
    extents: dict[str, Extent] = {}
    ended: str = ""
    ended_at: Moment | None = None

    @property
    def pattern(self) -> Pattern:
        """The pattern of the findings that it mutes."""
        return Pattern(self.code, self.object)

    def counts(self, now: datetime) -> bool:
        """Whether it is in force: never for longer than requested, even if the clock was wrong when it was made."""
        return not self.ended and self.created - _STEP <= now < self.until

    def over_since(self, now: datetime) -> datetime | None:
        """Return when it ended, or None while it is in force."""
        return None if self.counts(now) else self.ended_at or self.until


class Sight(msgspec.Struct, frozen=True):
    """The findings of a command's latest run."""

    at: Moment
    findings: tuple[tuple[str, str, Severity, int], ...]


class Heard(NamedTuple):
    """The findings that decide the verdict, the muted ones, and the updated mutes."""

    findings: tuple[Finding, ...]
    errors: tuple[Fault, ...]
    muted: tuple[Muted, ...]
    mutes: tuple[Mute, ...]


def sight(findings: Iterable[Finding], errors: Iterable[Fault], now: datetime) -> Sight:
    """Return what to store about a run."""
    every = [*findings, *map(as_finding, errors)]
    return Sight(now, tuple((finding.code, finding.object, finding.severity, _count(finding)) for finding in every))


def made(
    pattern: Pattern, *, now: datetime, until: datetime, reason: str, author: str, sights: Mapping[str, Sight]
) -> Mute:
    """Return a new mute; its extents are from the commands' latest runs, which the person has seen."""
    extents = {}
    for command, seen in sights.items():
        if now - seen.at > _SIGHT_COUNTS:
            continue
        about = [
            Finding(code=code, severity=severity, object=object_, summary="", evidence={"count": count})
            for code, object_, severity, count in seen.findings
        ]
        if fitting := [finding for finding in about if pattern.fits(finding)]:
            extents[command] = _extent(fitting)
    return Mute(
        code=pattern.code,
        object=pattern.object,
        created=now,
        until=until,
        reason=reason,
        author=author,
        extents=extents,
    )


def applied(
    findings: Sequence[Finding], errors: Sequence[Fault], mutes: Sequence[Mute], *, command: str, now: datetime
) -> Heard:
    """Apply the mutes.

    A mute ends if a finding is worse than when it was muted, is about another object, or counts more objects; its
    findings then count again at once.
    """
    every = [*findings, *map(as_finding, errors)]
    after = tuple(_weighed(mute, every, command, now) for mute in mutes)
    active = [mute for mute in after if mute.counts(now)]
    muted = [(finding, mute) for finding in every if (mute := _fitting(finding, active))]
    heard = Heard(
        tuple(finding for finding in findings if not _fitting(finding, active)),
        tuple(error for error in errors if not _fitting(error, active)),
        tuple(
            Muted.of(finding, until=timestamp(mute.until), reason=mute.reason, author=mute.author)
            for finding, mute in muted
        ),
        after,
    )
    return _along(heard)


def _along(heard: Heard) -> Heard:
    """Also mute findings that follow only from muted ones.

    Somebody who knows that a host is down knows about its broker as well; a finding that has another cause, too, still
    decides the verdict.
    """
    muted = {(one.code, one.object): one for one in heard.muted}
    left = list(heard.findings)
    while follow := [
        finding
        for finding in left
        if finding.caused_by and all((cause.code, cause.object) in muted for cause in finding.caused_by)
    ]:
        for finding in follow:
            by = muted[finding.caused_by[0].code, finding.caused_by[0].object]
            muted[finding.code, finding.object] = Muted.of(finding, until=by.until, reason=by.reason, author=by.author)
        left = [finding for finding in left if finding not in follow]
    return heard._replace(findings=tuple(left), muted=tuple(muted.values()))


def current(mutes: Iterable[Mute], now: datetime) -> tuple[Mute, ...]:
    """Return the mutes without those that ended long ago."""
    return tuple(mute for mute in mutes if (over := mute.over_since(now)) is None or now - over < KEPT)


def _fitting(finding: Finding | Fault, active: Iterable[Mute]) -> Mute | None:
    return next((mute for mute in active if mute.pattern.fits(finding)), None)


def _weighed(mute: Mute, every: Iterable[Finding], command: str, now: datetime) -> Mute:
    fitting = [finding for finding in every if mute.pattern.fits(finding)]
    if not fitting or not mute.counts(now):
        return mute
    extent = _extent(fitting)
    before = mute.extents.get(command)
    if before is None:
        return msgspec.structs.replace(mute, extents={**mute.extents, command: extent})
    why = _worse(before, extent)
    return msgspec.structs.replace(mute, ended=why, ended_at=now) if why else mute


def _extent(findings: Sequence[Finding]) -> Extent:
    status = worst(finding.severity.status for finding in findings)
    severity = next(finding.severity for finding in findings if finding.severity.status is status)
    return Extent(severity, tuple(sorted({finding.object for finding in findings})), sum(map(_count, findings)))


def _count(finding: Finding) -> int:
    count = finding.evidence.get("count")
    return count if isinstance(count, int) else 1


def _worse(before: Extent, now: Extent) -> str:
    if worst([before.severity.status, now.severity.status]) is not before.severity.status:
        return f"{now.severity.value}, and it was {before.severity.value} when it was muted"
    more = [name for name in now.objects if name not in before.objects]
    if more:
        return f"it is about {', '.join(more)} too"
    return f"it counts {now.count}, and it was {before.count} when it was muted" if now.count > before.count else ""
