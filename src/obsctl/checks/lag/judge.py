"""Turns the rules' verdicts on groups into findings: one for each group and verdict, with its partitions."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from obsctl.checks.consumer.loss import judge_losses
from obsctl.checks.kafka.judge import judge_access, judge_silent
from obsctl.checks.kafka.snapshot import KafkaSnapshot
from obsctl.checks.lag import rules, states
from obsctl.checks.lag.retention import Unread, expired, expiring, is_abandoned, seconds
from obsctl.checks.lag.rules import Expiry, Look, Pace, Verdict, Window
from obsctl.checks.lag.snapshot import GroupTrack, LagSnapshot, PartitionTrack, PositionTrack
from obsctl.core.acknowledgement import applied
from obsctl.core.listed import listed
from obsctl.core.report import Finding, Severity
from obsctl.fleet.model import Fleet
from obsctl.kafka.partition import TopicPartition


class _Fault(NamedTuple):
    """A verdict that is a finding: its code and what it means."""

    code: str
    what: str


_FAULTS = {
    Verdict.STOP: _Fault(
        "KAFKA_LAG_STOP", "has records to read but has not advanced its offset for {silence:.0f} s or more"
    ),
    Verdict.STALL: _Fault(
        "KAFKA_LAG_STALL", "commits the same offset again and again although there are records to read"
    ),
    Verdict.REWIND: _Fault("KAFKA_LAG_REWIND", "went back to an earlier offset within the window"),
    Verdict.SLOW: _Fault("KAFKA_LAG_SLOW", "reads more slowly than records arrive"),
    Verdict.BEYOND: _Fault("KAFKA_LAG_BEYOND_END", "has a committed offset beyond the end of the log"),
}


class Place(NamedTuple):
    """A group in one partition: the data, and the verdict.

    Attributes:
        behind_s: age of the oldest unread record; estimated by the pace if its timestamp is not known.
        expiry: when that record will be deleted; None if unknown.
    """

    group: GroupTrack
    track: PositionTrack
    window: Window
    verdict: Verdict
    pace: Pace
    behind_s: float | None
    expiry: Expiry | None

    @property
    def part(self) -> TopicPartition:
        """The partition."""
        return TopicPartition(self.track.topic, self.track.partition)

    @property
    def name(self) -> str:
        """The partition as ``TOPIC/PARTITION``."""
        return str(self.part)

    @property
    def last(self) -> Look | None:
        """The last look; None if the partition's ends are not known."""
        return self.window.looks[-1] if self.window.looks else None

    @property
    def unread(self) -> int:
        """Number of unread records that can still be read."""
        return self.last.unread if self.last else 0

    @property
    def gone(self) -> int:
        """Number of offsets that were deleted before the group read them."""
        # A position beyond the log's end belongs to another log, and 0 in the database means that the partition was
        # never read: in both cases nothing was missed here.
        if self.last is None or self.verdict is Verdict.BEYOND:
            return 0
        return self.last.gone if self.last.position or self.group.positions_in == "group" else 0


def places_of(seen: LagSnapshot, group: GroupTrack) -> list[Place]:
    """Return the partitions of a group, each judged by the rules."""
    ends = {(track.topic, track.partition): track for track in seen.partitions}
    return [_place(seen, group, track, ends.get((track.topic, track.partition))) for track in group.positions]


def _place(seen: LagSnapshot, group: GroupTrack, track: PositionTrack, ends: PartitionTrack | None) -> Place:
    looks = _paired(track, ends) if ends else []
    window = Window(looks, track.commits, None if track.moved_s is not None else seen.history_s, track.moved_s)
    verdict, pace = rules.judge(window), rules.pace(window)
    unread = looks[-1].unread if looks else 0
    age = max(0.0, (seen.ended_ms - track.record_ms) / 1000) if track.record_ms is not None and unread else None
    behind = age if age is not None else _by_pace(unread, pace)
    retention_s = ends.retention_ms / 1000 if ends and ends.retention_ms else None
    expiry = rules.expiry(age, retention_s, pace.eta_s(unread), moves=window.moved) if unread else None
    return Place(group, track, window, verdict, pace, behind, expiry)


def _by_pace(unread: int, pace: Pace) -> float | None:
    if not unread:
        return 0.0
    return unread / pace.consumed if pace.consumed and pace.consumed > 0 else None


def _paired(track: PositionTrack, ends: PartitionTrack) -> list[Look]:
    """Return the position at each look with the end offsets nearest in time, which come from other brokers."""
    if not ends.looks:
        return []
    pairs = [(position, min(ends.looks, key=lambda end: abs(end.at - position.at))) for position in track.looks]
    return [
        Look(position.at, position.offset, end.start, end.end, end.log_end)
        for position, end in pairs
        if abs(end.at - position.at) < 1
    ]


def judge_lag(fleet: Fleet, seen: LagSnapshot) -> list[Finding]:
    """Return the findings about groups."""
    if not any(broker.answered for broker in seen.brokers):
        return judge_silent(fleet, KafkaSnapshot(brokers=seen.brokers))
    findings = judge_access(fleet, KafkaSnapshot(brokers=seen.brokers, denied=seen.denied))
    findings += [_committed_instead(fleet, seen)] if seen.database else []
    places: list[Place] = []
    for group in seen.groups:
        of_group = places_of(seen, group)
        places += of_group
        findings += _group(fleet, group, of_group)
    findings += held(
        (place.name, place.last.log_end - place.last.end)
        for place in places
        if place.verdict is Verdict.HELD and place.last
    )
    findings += judge_losses(seen.losses or ())
    return applied(findings, seen.acknowledged)


def _committed_instead(fleet: Fleet, seen: LagSnapshot) -> Finding:
    return Finding(
        code="HEALTH_DATABASE_DOWN",
        severity=Severity.INFO,
        object=f"database/{fleet.database.host}",
        summary=f"{seen.database}; so the positions of {fleet.consumer.group} are the offsets committed to Kafka",
        hint="obsctl health",
    )


def _group(fleet: Fleet, group: GroupTrack, places: Sequence[Place]) -> Iterator[Finding]:
    if is_abandoned(fleet, group.name, group.state):
        yield from _abandoned(fleet, group, places)
        return
    for verdict, fault in _FAULTS.items():
        hit = [place for place in places if place.verdict is verdict]
        if hit:
            yield _fault(fleet, group, verdict, fault, hit)
    yield from expired(fleet, group.name, {place.name: place.gone for place in places if place.gone})
    unread = [Unread(place.part, place.unread, place.expiry) for place in places if place.expiry]
    yield from expiring(fleet, group.name, unread, exact=True)


def _abandoned(fleet: Fleet, group: GroupTrack, places: Sequence[Place]) -> Iterator[Finding]:
    unread, gone = sum(place.unread for place in places), sum(place.gone for place in places)
    if not unread and not gone:
        return
    words = [f"{unread:,} records to read in {_names([place for place in places if place.unread])}"] if unread else []
    words += [f"its committed offset is below the log's start, {gone:,} offsets were deleted"] if gone else []
    broker = next(iter(fleet.brokers()), "HOST:PORT")
    host = next((host.name for host in fleet.group("kafka")), "a broker")
    yield Finding(
        code="KAFKA_GROUP_ABANDONED",
        severity=Severity.INFO,
        object=f"group/{group.name}",
        summary=f"has no members ({group.state}); {'; '.join(words)}",
        evidence={"lag": unread, "gone": gone, "state": group.state},
        hint=f"if it is not needed any more, on {host}: "
        f"{fleet.kafka_tool('groups', broker, f'--delete --group {shlex.quote(group.name)}')}; otherwise start its "
        "program",
    )


def _fault(fleet: Fleet, group: GroupTrack, verdict: Verdict, fault: _Fault, hit: Sequence[Place]) -> Finding:
    unread = sum(place.unread for place in hit)
    behind = max((place.behind_s for place in hit if place.behind_s is not None), default=None)
    silence = max(place.window.silence_s for place in hit)
    produced, consumed = _sum(place.pace.produced for place in hit), _sum(place.pace.consumed for place in hit)
    age = f", the oldest {seconds(behind)} old" if behind else ""
    pace = f" ({consumed:g} of {produced:g} records a second)" if verdict is Verdict.SLOW else ""
    return Finding(
        code=fault.code,
        severity=Severity.WARNING,
        object=f"group/{group.name}",
        summary=f"{fault.what.format(silence=silence)}{pace}: {unread:,} records to read{age}, in {_names(hit)}",
        evidence={
            "verdict": verdict.value,
            "lag": unread,
            "behind_s": _rounded(behind),
            "produced": produced,
            "consumed": consumed,
            "state": group.state,
            "partitions": [place.name for place in hit],
        },
        hint=_hint(fleet, group, verdict),
    )


def _hint(fleet: Fleet, group: GroupTrack, verdict: Verdict) -> str:
    ours = {fleet.consumer.group: "obsctl-consumer", fleet.alerter.group: "obsctl-alerter"}.get(group.name)
    host = next((host.name for host in fleet.group("consumer")), "its host")
    if verdict is Verdict.BEYOND and ours:
        return "obsctl consumer status shows whether the topic was recreated" if "consumer" in ours else "obsctl health"
    if ours:
        return f"obsctl health; on {host}: journalctl -u {ours} -n 50"
    return (
        f"obsctl kafka lag --group {shlex.quote(group.name)} -o wide shows each partition; check the group's own "
        "program"
    )


def held(parts: Iterable[tuple[str, int]]) -> Iterator[Finding]:
    """Yield a finding that records are written but cannot be read.

    Args:
        parts: partitions as ``TOPIC/PARTITION``, with the number of records beyond the high watermark.
    """
    by_name = dict(parts)
    if by_name:
        yield Finding(
            code="KAFKA_LAG_HELD",
            severity=Severity.WARNING,
            object="kafka",
            summary=f"{sum(by_name.values()):,} records are written but cannot be read yet: the high watermark does "
            f"not advance in {listed(sorted(by_name))}",
            evidence={"partitions": by_name},
            hint="followers do not fetch, so nothing more is acknowledged: obsctl kafka partitions shows which replica "
            "is behind",
        )


def _names(places: Sequence[Place]) -> str:
    return listed([place.name for place in places])


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known), 1) if known else None


def _rounded(value: float | None) -> int | None:
    return None if value is None else round(value)


def describe_lag(fleet: Fleet, seen: LagSnapshot) -> dict[str, Any]:
    """Return a row for each group, what the states mean, a row for each partition, and numbers for monitoring."""
    judged = [(group, places_of(seen, group)) for group in seen.groups]
    rows = [_group_row(group, places) for group, places in judged]
    parts = [_partition_row(place) for _, places in judged for place in places]
    metrics: dict[str, Any] = {}
    for row in rows:
        metrics |= {f"lag_{row['group']}": row["lag"], f"behind_s_{row['group']}": row["behind_s"]}
    return {
        "metrics": metrics,
        "window_s": seen.window_s,
        "commits_known_s": seen.history_s,
        "groups": rows,
        "states": [
            {
                "group": group.name,
                "kind": group.kind or None,
                "state": group.state or None,
                "means": states.in_words(fleet, group.name, group.state, group.kind),
            }
            for group in seen.groups
        ],
        "partitions": parts,
        "lagging": [row for row in parts if row["lag"] or row["gone"] or row["verdict"] not in ("ok", "unknown")],
    }


def _group_row(group: GroupTrack, places: Sequence[Place]) -> dict[str, Any]:
    known = [place for place in places if place.last]
    unread = sum(place.unread for place in known) if known else None
    produced, consumed = _sum(place.pace.produced for place in known), _sum(place.pace.consumed for place in known)
    verdict = max((place.verdict for place in known), key=rules.ORDER.index, default=None)
    stands = verdict in (Verdict.STOP, Verdict.STALL, Verdict.BEYOND)
    eta = None if stands or unread is None else Pace(produced, consumed).eta_s(unread)
    left = [place.expiry.left_s for place in known if place.expiry]
    return {
        "group": group.name,
        "verdict": verdict.value if verdict else None,
        "lag": unread,
        "produced": produced,
        "consumed": consumed,
        "behind_s": _rounded(max((place.behind_s for place in known if place.behind_s is not None), default=None)),
        "eta_s": _rounded(eta),
        "gone": sum(place.gone for place in known) if known else None,
        "expires_in_s": _rounded(min(left, default=None)),
        "positions_in": group.positions_in,
        "partitions": len(places),
        "coordinator": group.coordinator,
    }


def _partition_row(place: Place) -> dict[str, Any]:
    last = place.last
    return {
        "group": place.group.name,
        "name": place.name,
        "topic": place.track.topic,
        "partition": place.track.partition,
        "position": last.position if last else None,
        "start": last.start if last else None,
        "end": last.end if last else None,
        "log_end": last.log_end if last else None,
        "lag": place.unread if last else None,
        "gone": place.gone if last else None,
        "produced": None if place.pace.produced is None else round(place.pace.produced, 1),
        "consumed": None if place.pace.consumed is None else round(place.pace.consumed, 1),
        "behind_s": _rounded(place.behind_s),
        "expires_in_s": _rounded(place.expiry.left_s) if place.expiry else None,
        "verdict": place.verdict.value,
    }
