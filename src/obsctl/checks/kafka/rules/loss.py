"""What the loss of some nodes would mean now, for ``kafka whatif``."""

from __future__ import annotations

from collections.abc import Iterator

from obsctl.checks.kafka.headroom import Outcome
from obsctl.checks.kafka.view import ClusterView, nodes
from obsctl.core.listed import listed
from obsctl.core.report import Finding, Severity


def after_loss(view: ClusterView, outcome: Outcome) -> Iterator[Finding]:
    """Yield what would no longer work; a topic that is neither the inventory's nor Kafka's own is a warning."""
    lost = nodes(outcome.lost)
    if outcome.quorum is False:
        left = f"{outcome.voters[1]} of {outcome.voters[0]} voters would be left" if outcome.voters else "none is known"
        yield Finding(
            code="KAFKA_LOSS_NO_CONTROLLER",
            severity=Severity.CRITICAL,
            object="kafka/quorum",
            summary=f"without {lost} no controller can be elected ({left}): no partition can get a new leader",
            evidence={"lost": sorted(outcome.lost), "voters": outcome.voters},
            hint="take fewer down at a time; obsctl kafka quorum shows which of them are behind now",
        )
    offline = [loss.partition for loss in outcome.partitions if loss.offline]
    stopped = [loss.partition for loss in outcome.partitions if loss.no_writes and not loss.offline]
    total = len(outcome.partitions)
    for code, hit, what, hint in (
        ("KAFKA_LOSS_OFFLINE", offline, "could be neither read nor written", "obsctl kafka partitions shows their ISR"),
        (
            "KAFKA_LOSS_STOPS_WRITES",
            stopped,
            "would accept no more writes, and lines would pile up on the hosts",
            "obsctl kafka partitions shows their ISR",
        ),
    ):
        if hit:
            ours = any(view.is_ours(p) for p in hit)
            names = [p.name for p in sorted(hit, key=lambda p: not view.is_ours(p))]
            yield Finding(
                code=code,
                severity=Severity.CRITICAL if ours else Severity.WARNING,
                object="kafka",
                summary=f"without {lost} {len(names)} of {total} partitions {what}: {listed(names)}",
                evidence={"lost": sorted(outcome.lost), "partitions": names},
                hint=hint,
            )
