"""Whether there is a controller, how many more voters may fail, and how old the brokers' metadata is."""

from __future__ import annotations

from collections.abc import Iterator

from obsctl.checks.kafka.headroom import lose, voters_left
from obsctl.checks.kafka.view import ClusterView, brokers, voter_is_well
from obsctl.core.report import Finding, Severity

_UNIT = "systemctl status kafka; journalctl -u kafka -n 50"


def voters(view: ClusterView) -> Iterator[Finding]:
    """Voters that do not keep up."""
    quorum = view.seen.quorum
    if quorum is None:
        return
    spare = max(0, voters_left(view) or 0)
    for voter in quorum.voters:
        if voter_is_well(quorum, voter):
            continue
        since = f"for {voter.behind_ms / 1000:.0f} s" if voter.behind_ms is not None else "since the last election"
        yield Finding(
            code="KAFKA_QUORUM_VOTER_LAGGING",
            severity=Severity.WARNING if spare else Severity.CRITICAL,
            object=f"controller/{voter.node_id}",
            summary=f"voter {voter.node_id} has not caught up {since}; "
            + (f"{spare} more may fail" if spare else "with one more failure no controller can be elected"),
            evidence={"lag": voter.lag, "behind_ms": voter.behind_ms, "voters": len(quorum.voters), "may_fail": spare},
            hint="bring it back before any other controller is stopped; " + view.on(voter.node_id, _UNIT),
        )


def no_controller(view: ClusterView) -> Iterator[Finding]:
    """No answer from a controller: if most voters are down it is proved that there is none, else it is unknown."""
    seen = view.seen
    refused = any(right.resource == "cluster" for right in seen.denied)
    if seen.quorum is not None or refused or any(fault.code == "KAFKA_QUORUM_UNREADABLE" for fault in seen.errors):
        return
    ids = {host.kafka.node_id for host in view.controllers if host.kafka}
    majority = len(ids) // 2 + 1
    evidence = {"brokers_answered": len(view.answered), "controllers": len(ids), "majority": majority}
    if view.majority_lost:
        away = [host.name for host in view.controllers if host.kafka and host.kafka.node_id in view.silent]
        stopped = [loss.partition.name for loss in lose(view, ()).partitions if loss.no_writes]
        yield Finding(
            code="KAFKA_NO_CONTROLLER",
            severity=Severity.CRITICAL,
            object="kafka/quorum",
            summary=f"only {len(ids - view.silent)} of {len(ids)} controllers can be up, {majority} are needed: no "
            f"leader can be elected; {_what_stops(len(stopped), len(seen.partitions))}",
            evidence={**evidence, "stopped": len(stopped)},
            hint=f"bring back {majority - len(ids - view.silent)} of {', '.join(away)}; each one's KAFKA_BROKER_DOWN "
            "says how it fails",
        )
        return
    yield Finding(
        code="KAFKA_NO_CONTROLLER",
        severity=Severity.UNKNOWN,
        object="kafka/quorum",
        summary="no broker got an answer from the controller in time: there is none, it hangs, or it has just changed",
        evidence=evidence,
        hint="check again in half a minute (brokers wait that long for a controller that hangs); then on each "
        f"controller journalctl -u kafka -n 50, and whether the others reach its port {_ports(view)}",
    )


def _what_stops(stopped: int, total: int) -> str:
    if not stopped:
        return "writes continue as long as every other broker stays up"
    return f"writes stop on {stopped} of {total} partitions, and lines pile up on the hosts"


def _ports(view: ClusterView) -> str:
    ports = {host.kafka.controller_port for host in view.controllers if host.kafka}
    return " or ".join(map(str, sorted(ports))) or "(the inventory names none)"


def stale(view: ClusterView) -> Iterator[Finding]:
    """Metadata from before the controller was lost: leaders, ISR and topics are not judged by them."""
    if not view.stale:
        return
    yield Finding(
        code="KAFKA_METADATA_STALE",
        severity=Severity.UNKNOWN,
        object="kafka/metadata",
        summary=f"leaders, ISR and topics are the last ones known to {brokers(view.metadata.source)} and may be out of "
        f"date: {view.metadata.why}; {len(view.partitions)} partitions are not judged from them",
        evidence={"source": list(view.metadata.source), "partitions": len(view.partitions)},
        hint="deal with the other findings first; obsctl kafka quorum shows which nodes follow the controller",
    )
