"""Leaders and in-sync replicas, judged only from current metadata.

One finding names all partitions with the same fault: one line with twelve names is easier to read than twelve lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from obsctl.checks.kafka.snapshot import Partition
from obsctl.checks.kafka.view import ClusterView, brokers
from obsctl.core.listed import listed
from obsctl.core.report import Finding, Severity


def offline(view: ClusterView) -> Iterator[Finding]:
    """Partitions without a leader."""
    hit = [] if view.stale else [p for p in view.partitions if p.leader is None]
    yield from _shared(
        view,
        hit,
        code="KAFKA_OFFLINE_PARTITIONS",
        severity=Severity.CRITICAL,
        what="without a leader, neither readable nor writable",
        hint="bring back the brokers that hold their replicas (obsctl kafka partitions shows them); an unclean "
        "election would lose records that only they have",
    )


def leader_silent(view: ClusterView) -> Iterator[Finding]:
    """Partitions whose leader does not answer: they are offline, or wait for another leader.

    With a controller that takes seconds, and is critical only where nobody else is in sync; without one it stays so.
    """
    hit = [p for p in view.partitions if p.leader in view.silent]
    if not hit:
        return
    alone = view.stale or any(not view.live(p) for p in hit)
    leaders = {p.leader for p in hit}
    do = "do" if len(leaders) > 1 else "does"
    until = "" if alone else " until another broker becomes leader"
    names = [p.name for p in hit]
    yield Finding(
        code="KAFKA_LEADER_SILENT",
        severity=Severity.CRITICAL if alone else Severity.WARNING,
        object="kafka",
        summary=f"led by {brokers(leaders)}, which {do} not answer, so offline{until}: {listed(names)} "
        f"({len(names)} of {len(view.partitions)} partitions)",
        evidence={"count": len(names), "partitions": names, "leaders": sorted(leaders, key=str)},
        hint=f"bring {brokers(leaders)} back: no other broker can take over now"
        if alone
        else "obsctl kafka status --watch 2: another leader should be elected within seconds; if not, the cluster can "
        "still reach that broker, and the network between here and it is at fault",
    )


def below_min_isr(view: ClusterView) -> Iterator[Finding]:
    """Partitions that refuse acks=all."""
    hit = [p for p in _led(view) if p.effective_min_isr is not None and len(p.isr) < p.effective_min_isr]
    yield from _shared(
        view,
        hit,
        code="KAFKA_UNDER_MIN_ISR",
        severity=Severity.CRITICAL,
        what="fewer in-sync replicas than min ISR, so acks=all is refused",
        hint="bring back the missing brokers, which obsctl kafka status names; Filebeat keeps its lines until then",
    )


def at_min_isr(view: ClusterView) -> Iterator[Finding]:
    """Partitions that one more failure would stop. If all replicas are in sync, the topic's settings are the cause."""
    hit = [p for p in _led(view) if p.missing and p.effective_min_isr is not None and len(p.isr) == p.effective_min_isr]
    yield from _shared(
        view,
        hit,
        code="KAFKA_AT_MIN_ISR",
        severity=Severity.WARNING,
        what="exactly as many in-sync replicas as min ISR requires; one more failure stops writes",
        hint="restart no other broker before obsctl kafka status --watch 2 --until ok has returned",
    )


def under_replicated(view: ClusterView) -> Iterator[Finding]:
    """Partitions with a replica that should be in sync and is not."""
    yield from _shared(
        view,
        [p for p in _led(view) if p.missing],
        code="KAFKA_UNDER_REPLICATED",
        severity=Severity.WARNING,
        what="replicas missing from the ISR",
        hint="obsctl kafka partitions shows how far each replica is behind"
        + (
            ""
            if view.seen.reassignments_known
            else "; no controller answered, so some of them may only be new replicas of a reassignment"
        ),
    )


def reassigned(view: ClusterView) -> Iterator[Finding]:
    """Partitions whose replicas are being moved: what is being added is not expected in the ISR yet."""
    hit = [p for p in view.partitions if p.adding or p.removing]
    if not hit:
        return
    names = [p.name for p in hit]
    adding, removing = ({node for p in hit for node in getattr(p, kind)} for kind in ("adding", "removing"))
    steps = [f"copies are added on {brokers(adding)}"] if adding else []
    steps += [f"those on {brokers(removing)} are removed afterwards"] if removing else []
    yield Finding(
        code="KAFKA_REASSIGNING",
        severity=Severity.INFO,
        object="kafka",
        summary=f"being reassigned, {' and '.join(steps)}: {listed(names)} ({len(names)} of "
        f"{len(view.partitions)} partitions)",
        evidence={"count": len(names), "partitions": names, "adding": sorted(adding), "removing": sorted(removing)},
        hint="obsctl kafka partitions --watch 5 shows the progress of the new replicas",
    )


def _led(view: ClusterView) -> list[Partition]:
    return [] if view.stale else [p for p in view.partitions if p.leader is not None]


def _shared(
    view: ClusterView, hit: Sequence[Partition], *, code: str, severity: Severity, what: str, hint: str
) -> Iterator[Finding]:
    if not hit:
        return
    missing = sorted({node for p in hit for node in p.missing})
    names = [p.name for p in hit]
    away = f"; not in sync: broker {', '.join(map(str, missing))}" if missing else ""
    if missing and view.silent.issuperset(missing):
        away += ", which does not answer"
    yield Finding(
        code=code,
        severity=severity,
        object="kafka",
        summary=f"{what}: {listed(names)} ({len(names)} of {len(view.partitions)} partitions{away})",
        evidence={"count": len(names), "partitions": names, "missing_replicas_on": missing},
        hint=hint,
    )
