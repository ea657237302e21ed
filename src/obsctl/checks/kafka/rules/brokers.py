"""Which brokers answer, and whether they form one cluster."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from obsctl.checks.kafka.snapshot import MUTE, REFUSED, UNNAMED, UNREACHABLE, Broker
from obsctl.checks.kafka.view import ClusterView
from obsctl.core.listed import listed
from obsctl.core.report import Finding, Severity
from obsctl.fleet.login import connect_command

_UNIT = "systemctl status kafka; journalctl -u kafka -n 50"


def unreachable(view: ClusterView) -> Finding:
    """Return the only finding about a cluster if no broker answers."""
    brokers = view.seen.brokers
    reasons = {f"broker/{broker.node_id}": f"{broker.address}: {broker.failure}" for broker in brokers}
    words = "; ".join(f"{name} {reason}" for name, reason in reasons.items())
    kinds = {broker.silence for broker in brokers}
    if not words:
        hint = "add the brokers to the inventory's group kafka, each with its kafka_node_id"
    elif kinds == {UNNAMED}:
        hint = _hint(view, brokers[0])
    else:
        hint = (
            f"`{connect_command(*brokers[0].address.rsplit(':', 1))}` tests the network from here; then on each host: "
            "systemctl status kafka"
        )
    return Finding(
        code="KAFKA_UNREACHABLE",
        severity=Severity.CRITICAL,
        object="kafka",
        summary=f"no broker answers ({words})" if words else "the inventory names no broker",
        evidence={"brokers": len(brokers), "reasons": reasons},
        hint=hint,
    )


def down(view: ClusterView) -> Iterator[Finding]:
    """Each broker that does not answer, with its replicas; one that refuses our connection is not down."""
    for broker in view.seen.brokers:
        if broker.answered or broker.barred:
            continue
        holds = [p.name for p in view.partitions if broker.node_id in p.replicas]
        leads = [p.name for p in view.partitions if p.leader == broker.node_id]
        counted = [p.name for p in view.partitions if broker.node_id in p.isr]
        last = "the last known metadata list" if view.stale else "the cluster still lists"
        still = f", and {last} it as leader of {len(leads)}" if leads else ""
        still += f" and in sync with {len(counted)}" if leads and counted else ""
        yield Finding(
            code="KAFKA_BROKER_DOWN",
            severity=Severity.CRITICAL,
            object=f"broker/{broker.node_id}",
            summary=f"{broker.host} ({broker.address}): {broker.failure}; it holds {len(holds)} replicas{still}",
            evidence={
                "kind": broker.silence or None,
                "replicas": len(holds),
                "leads": len(leads),
                "partitions": holds,
                "led": leads,
                "still_registered": broker.registered,
            },
            hint=_hint(view, broker),
        )


def _hint(view: ClusterView, broker: Broker) -> str:
    """Return what to check first, which depends on the kind of silence."""
    host = view.fleet.host(broker.host)
    if broker.silence == UNNAMED:
        return (
            f"the inventory: {broker.host} has no address that this machine can resolve; set ansible_host of "
            f"{broker.host} in {view.fleet.inventory}"
        )
    if broker.silence == UNREACHABLE and host is not None:
        return f"check that the host is up and reachable: {view.fleet.login_hint(host)}; then there: {_UNIT}"
    if broker.silence == MUTE:
        return (
            f"the process hangs, although systemd reports it as active; on {broker.host}: systemctl kill -s CONT "
            "kafka resumes a stopped process; otherwise journalctl -u kafka -n 50, then systemctl restart kafka"
        )
    if broker.silence == REFUSED:
        return f"the host answers, but nothing listens on the port; on {broker.host}: {_UNIT}"
    return f"on {broker.host}: {_UNIT}"


def fenced(view: ClusterView) -> Iterator[Finding]:
    """Each broker that answers but that the others do not list."""
    for broker in view.answered:
        if not broker.registered:
            yield Finding(
                code="KAFKA_BROKER_FENCED",
                severity=Severity.WARNING,
                object=f"broker/{broker.node_id}",
                summary=f"answers on {broker.address}, but the cluster does not list it: it is starting, or was fenced",
                evidence={"answer_ms": broker.answer_ms},
                hint=f"check again in half a minute; then on {broker.host}: {_UNIT}",
            )


def one_cluster(view: ClusterView) -> Iterator[Finding]:
    """Brokers of different clusters."""
    ids = Counter(broker.cluster_id for broker in view.seen.brokers if broker.cluster_id)
    if len(ids) < 2:
        return
    usual = ids.most_common(1)[0][0]
    others = [broker.host for broker in view.seen.brokers if broker.cluster_id and broker.cluster_id != usual]
    yield Finding(
        code="KAFKA_CLUSTER_ID_MISMATCH",
        severity=Severity.CRITICAL,
        object="kafka",
        summary=f"the brokers belong to {len(ids)} different clusters",
        evidence={f"broker/{broker.node_id}": broker.cluster_id for broker in view.seen.brokers if broker.cluster_id},
        hint=f"on {', '.join(others)}: systemctl stop kafka, and compare cluster.id in meta.properties of its data "
        "directory with that of the others; never format a directory that holds data",
    )


def unknown(view: ClusterView) -> Iterator[Finding]:
    """Brokers that the cluster lists but the inventory does not: their own answers and replicas are missing."""
    known = {broker.node_id for broker in view.seen.brokers}
    for node, address in sorted(view.seen.listed.items()):
        if node in known:
            continue
        leads = [p.name for p in view.partitions if p.leader == node]
        holds = [p.name for p in view.partitions if node in p.replicas]
        what = f"leads {len(leads)} partitions ({listed(leads)}) and holds" if leads else "leads nothing and holds"
        yield Finding(
            code="KAFKA_UNKNOWN_BROKER",
            severity=Severity.WARNING,
            object=f"broker/{node}",
            summary=f"{address} is in the cluster but not in the inventory; it {what} {len(holds)} replicas, which "
            "obsctl does not check",
            evidence={"address": address, "led": leads, "partitions": holds},
            hint=f"put its host into the group kafka of {view.fleet.inventory} with kafka_node_id {node}, or move its "
            "replicas away before you stop it: obsctl explain KAFKA_UNKNOWN_BROKER",
        )
