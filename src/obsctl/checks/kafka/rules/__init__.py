"""The rules for a cluster: numbered, each a pure function of the cluster's view, in one list.

The numbers are documented in ``docs/reference/commands.md`` and never change; each code of a rule has a page in
``docs/runbooks``. The list does not include the finding that replaces all others: that no broker answers
(:func:`obsctl.checks.kafka.rules.brokers.unreachable`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal, NamedTuple

from obsctl.checks.kafka.rules import access, brokers, disks, followers, leaders, quorum, replicas, topics
from obsctl.checks.kafka.view import ClusterView
from obsctl.core.report import Finding

#: The subjects of rules; each command uses the rules of some subjects.
Subject = Literal["brokers", "quorum", "replicas", "topics", "leaders", "disks", "access", "rights"]


class Rule(NamedTuple):
    """One rule.

    Attributes:
        codes: the findings that it can make.
        judge: yields them.
    """

    number: int
    subject: Subject
    codes: tuple[str, ...]
    judge: Callable[[ClusterView], Iterable[Finding]]


RULES = (
    Rule(1, "brokers", ("KAFKA_BROKER_DOWN",), brokers.down),
    Rule(2, "brokers", ("KAFKA_BROKER_FENCED",), brokers.fenced),
    Rule(3, "brokers", ("KAFKA_CLUSTER_ID_MISMATCH",), brokers.one_cluster),
    Rule(4, "brokers", ("KAFKA_UNKNOWN_BROKER",), brokers.unknown),
    Rule(5, "quorum", ("KAFKA_NO_CONTROLLER",), quorum.no_controller),
    Rule(6, "quorum", ("KAFKA_QUORUM_VOTER_LAGGING",), quorum.voters),
    Rule(7, "quorum", ("KAFKA_METADATA_STALE",), quorum.stale),
    Rule(8, "replicas", ("KAFKA_OFFLINE_PARTITIONS",), replicas.offline),
    Rule(9, "replicas", ("KAFKA_LEADER_SILENT",), replicas.leader_silent),
    Rule(10, "replicas", ("KAFKA_WATERMARK_STUCK",), followers.stuck_watermark),
    Rule(11, "replicas", ("KAFKA_FOLLOWER_STUCK",), followers.stuck_followers),
    Rule(12, "replicas", ("KAFKA_UNDER_MIN_ISR",), replicas.below_min_isr),
    Rule(13, "replicas", ("KAFKA_AT_MIN_ISR",), replicas.at_min_isr),
    Rule(14, "replicas", ("KAFKA_UNDER_REPLICATED",), replicas.under_replicated),
    Rule(15, "replicas", ("KAFKA_REASSIGNING",), replicas.reassigned),
    Rule(16, "topics", ("KAFKA_TOPIC_MISSING",), topics.missing),
    Rule(17, "topics", ("KAFKA_PARTITION_COUNT",), topics.too_few_partitions),
    Rule(
        18,
        "topics",
        (
            "KAFKA_REPLICATION_FACTOR",
            "KAFKA_MIN_ISR_HIGH",
            "KAFKA_MIN_ISR_LOW",
            "KAFKA_RETENTION_SHORT",
            "KAFKA_UNCLEAN_ELECTION",
        ),
        topics.weak,
    ),
    Rule(19, "leaders", ("KAFKA_LEADER_SKEW",), leaders.skew),
    Rule(20, "disks", ("KAFKA_LOG_DIR_OFFLINE",), disks.offline),
    Rule(21, "disks", ("KAFKA_DISK_LOW",), disks.low),
    Rule(
        22,
        "access",
        (
            "KAFKA_TLS_WANTED",
            "KAFKA_TLS_NOT_SPOKEN",
            "KAFKA_CERT_UNTRUSTED",
            "KAFKA_CERT_NAME",
            "KAFKA_CERT_EXPIRED",
            "KAFKA_CLIENT_CERT_REFUSED",
            "KAFKA_LOGIN_REFUSED",
            "KAFKA_SASL_MECHANISM",
            "KAFKA_LOGIN_WANTED",
            "KAFKA_LOGIN_NOT_TAKEN",
            "KAFKA_NOT_ASKED",
        ),
        access.barred,
    ),
    Rule(23, "rights", ("KAFKA_ACL_MISSING",), access.unseen),
)


def rules_of(*subjects: Subject) -> tuple[Rule, ...]:
    """Return the rules of these subjects, in the order of their numbers."""
    return tuple(rule for rule in RULES if rule.subject in subjects)


def judged_by(rules: Iterable[Rule], view: ClusterView) -> Iterator[Finding]:
    """Yield the findings of the rules, one rule after the other."""
    for rule in rules:
        yield from rule.judge(view)
