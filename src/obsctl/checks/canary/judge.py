"""Which broker refuses the canary's records, loses them, or is slow to acknowledge them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from obsctl.checks.canary.snapshot import CanarySnapshot, Flight
from obsctl.checks.kafka.denial import allowing, principal
from obsctl.checks.percentile import percentile
from obsctl.core.report import Finding, Severity
from obsctl.fleet.model import Fleet

#: A broker is slow if its median is above this many times the median of all others, and above this many milliseconds.
SLOW_TIMES = 5
SLOW_LEAST_MS = 50
#: Slow whatever the other brokers are (milliseconds): a line that takes this long to be acknowledged holds up its
#: shipper.
SLOW_MS = 500


def judge_canary(fleet: Fleet, seen: CanarySnapshot) -> list[Finding]:
    """Return the findings about brokers that writing and reading shows."""
    if seen.missing:
        return [
            Finding(
                code="KAFKA_TOPIC_MISSING",
                severity=Severity.CRITICAL,
                object=f"topic/{seen.topic}",
                summary="the canary's topic does not exist",
                hint=f"{fleet.playbook('kafka')} creates it",
            )
        ]
    if seen.denied:
        return [_denied(fleet, seen)]
    if seen.failure:
        return [
            Finding(
                code="KAFKA_CANARY_REFUSED",
                severity=Severity.CRITICAL
                if fleet.brokers() and seen.topic and not seen.shut_out
                else Severity.UNKNOWN,
                object="kafka",
                summary=f"nothing could be written: {seen.failure}",
                hint="obsctl kafka status"
                if seen.topic
                else f"{fleet.playbook('consumer')} writes /etc/obsctl/fleet.json again",
            )
        ]
    if seen.dry_run:
        return []
    findings: list[Finding] = []
    by_broker = flights_of(seen.flights)
    led = [flight for flight in seen.flights if flight.leader is not None]
    if len(by_broker) > 1 and led and not any(flight.acknowledged_ms for flight in led):
        return [_all_refused(led)]
    for broker, flights in by_broker.items():
        findings += _refused(fleet, broker, flights)
        findings += _lost(fleet, broker, flights)
        findings += _slow(fleet, broker, by_broker)
    return findings


def _denied(fleet: Fleet, seen: CanarySnapshot) -> Finding:
    broker = next(iter(fleet.brokers()))
    host = next(host.name for host in fleet.group("kafka") if host.kafka and "broker" in host.kafka.roles)
    which = f"--topic {seen.topic}"
    return Finding(
        code="KAFKA_ACL_MISSING",
        severity=Severity.UNKNOWN,
        object=f"topic/{seen.topic}",
        summary=f"{principal(fleet)} may not describe, write and read the canary's topic: {seen.failure}; not known: "
        "whether the brokers take records",
        evidence={"resource": "topic", "operation": "Write", "names": [seen.topic]},
        hint=allowing(fleet, host, broker, which, ["Describe", "Write", "Read"]),
    )


def flights_of(flights: Sequence[Flight]) -> dict[int | None, list[Flight]]:
    """Return the flights by the leader of their partition; None for no leader."""
    found: dict[int | None, list[Flight]] = {}
    for flight in sorted(flights, key=lambda flight: (flight.leader is None, flight.leader or 0)):
        found.setdefault(flight.leader, []).append(flight)
    return found


def _all_refused(led: Sequence[Flight]) -> Finding:
    """Return a single finding for all brokers: they all wait for the same replica, so none of them is at fault."""
    refusals: Counter[str] = Counter()
    for flight in led:
        refusals.update(flight.refusals)
    words = f" ({refusals.most_common(1)[0][0]})" if refusals else ""
    return Finding(
        code="KAFKA_CANARY_REFUSED",
        severity=Severity.CRITICAL,
        object="kafka",
        summary=f"no broker acknowledged any of {sum(flight.sent for flight in led)} records{words}: either a replica "
        "that is listed in the ISR does not fetch and delays them all, or too few replicas are in sync",
        evidence={"sent": sum(flight.sent for flight in led), "refusals": dict(refusals)},
        hint="obsctl kafka status names the broker that does not answer; the leaders continue without it after 30 s",
    )


def _refused(fleet: Fleet, broker: int | None, flights: Sequence[Flight]) -> Iterator[Finding]:
    sent = sum(flight.sent for flight in flights)
    refusals: Counter[str] = Counter()
    for flight in flights:
        refusals.update(flight.refusals)
    if broker is None:
        yield Finding(
            code="KAFKA_CANARY_REFUSED",
            severity=Severity.CRITICAL,
            object="kafka",
            summary=f"{len(flights)} partitions of the canary's topic have no leader: nothing can be written to them",
            evidence={"partitions": [flight.partition for flight in flights]},
            hint="obsctl kafka status",
        )
    elif missing := sent - sum(len(flight.acknowledged_ms) for flight in flights):
        words = "; ".join(f"{count} times {words}" for words, count in refusals.most_common(2)) or "no answer"
        yield Finding(
            code="KAFKA_CANARY_REFUSED",
            severity=Severity.CRITICAL,
            object=f"broker/{broker}",
            summary=f"{missing} of {sent} records were not acknowledged: {words}",
            evidence={"sent": sent, "acknowledged": sent - missing, "refusals": dict(refusals)},
            hint=f"obsctl kafka status; {_unit(fleet, broker)}",
        )


def _lost(fleet: Fleet, broker: int | None, flights: Sequence[Flight]) -> Iterator[Finding]:
    acknowledged = sum(len(flight.acknowledged_ms) for flight in flights)
    back = sum(len(flight.returned_ms) for flight in flights)
    if broker is not None and back < acknowledged:
        yield Finding(
            code="KAFKA_CANARY_LOST",
            severity=Severity.CRITICAL,
            object=f"broker/{broker}",
            summary=f"{acknowledged - back} of {acknowledged} acknowledged records could not be read back in time",
            evidence={"acknowledged": acknowledged, "returned": back},
            hint=f"obsctl kafka partitions shows whether the high watermark moves; {_unit(fleet, broker)}",
        )


def _slow(fleet: Fleet, broker: int | None, by_broker: dict[int | None, list[Flight]]) -> Iterator[Finding]:
    mine = times(by_broker[broker])
    others = [took for other, flights in by_broker.items() if other != broker for took in times(flights)]
    # The same percentile as in the table: a mean of two values that are far apart would be a time that no record took.
    median, usual = _percentile_ms(mine, 0.5), _percentile_ms(others, 0.5)
    if median is None:
        return
    relative = usual is not None and median > SLOW_LEAST_MS and median > SLOW_TIMES * usual
    if relative or median > SLOW_MS:
        company = f", the other brokers {usual:.0f} ms" if usual is not None else ""
        yield Finding(
            code="KAFKA_CANARY_SLOW",
            severity=Severity.WARNING,
            object=f"broker/{broker}",
            summary=f"takes {median:.0f} ms (median) to acknowledge a record{company}",
            evidence={"p50_ms": median, "others_p50_ms": usual},
            hint=f"check its disk, memory and network: {_unit(fleet, broker)}",
        )


def times(flights: Sequence[Flight]) -> list[float]:
    """Return how long each record took to be acknowledged, in milliseconds."""
    return [took for flight in flights for took in flight.acknowledged_ms]


def _unit(fleet: Fleet, broker: int | None) -> str:
    names = [host.name for host in fleet.group("kafka") if host.kafka and host.kafka.node_id == broker]
    return f"on {names[0] if names else f'broker {broker}'}: journalctl -u kafka -n 50"


def _percentile_ms(values: Sequence[float], share: float) -> float | None:
    """Return the percentile of milliseconds, rounded for display; None for no values."""
    found = percentile(values, share)
    return None if found is None else round(found, 1)


def describe_canary(fleet: Fleet, seen: CanarySnapshot) -> dict[str, Any]:
    """Return a row for each broker, a row for each partition, and numbers for monitoring."""
    by_broker = flights_of(seen.flights)
    nodes = {host.kafka.node_id: host.name for host in fleet.group("kafka") if host.kafka}
    brokers = [
        _row(broker, nodes, by_broker.get(broker, [])) for broker in (*nodes, *(by_broker.keys() - nodes.keys()))
    ]
    metrics = {
        f"{name}_{row['broker']}": row[name] for row in brokers for name in ("ack_p50_ms", "ack_p99_ms", "back_p99_ms")
    }
    return {
        "metrics": metrics,
        "topic": seen.topic,
        "dry_run": seen.dry_run,
        "brokers": brokers,
        "partitions": [
            {
                "partition": flight.partition,
                "leader": flight.leader,
                "sent": flight.sent,
                "acknowledged": len(flight.acknowledged_ms),
                "returned": len(flight.returned_ms),
            }
            for flight in seen.flights
        ],
    }


def _row(broker: int | None, nodes: dict[int, str], flights: Sequence[Flight]) -> dict[str, Any]:
    acknowledged = times(flights)
    back = [took for flight in flights for took in flight.returned_ms]
    return {
        "broker": broker,
        "host": nodes.get(broker) if broker is not None else None,
        "partitions": len(flights),
        "sent": sum(flight.sent for flight in flights),
        "acknowledged": len(acknowledged),
        "returned": len(back),
        "ack_p50_ms": _percentile_ms(acknowledged, 0.5),
        "ack_p99_ms": _percentile_ms(acknowledged, 0.99),
        "back_p50_ms": _percentile_ms(back, 0.5),
        "back_p99_ms": _percentile_ms(back, 0.99),
    }
