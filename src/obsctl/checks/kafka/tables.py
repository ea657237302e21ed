"""The tables in which people see what this check describes."""

from __future__ import annotations

from obsctl.core.layout import Layout

#: Whether leaders and ISR are current, and how old they are; shown above the tables that contain them.
_METADATA = Layout("metadata", "Leaders and ISR", ("state", "age_ms", "source", "why"), unknown=("age_ms",))
_HEADROOM = Layout(
    "headroom",
    "What may be lost",
    ("may_lose", "writes", "reads", "voters", "limited_by", "means"),
    unknown=("may_lose", "writes", "reads", "voters"),
)
_QUORUM = Layout("quorum", "Controller quorum", ("leader", "epoch", "voters", "lag", "may_fail"), ("behind_ms",))

CLUSTER_LAYOUTS = (
    Layout(
        "brokers",
        "Brokers",
        ("broker", "host", "state", "leads", "in_sync", "replicas", "log_bytes", "disk_free"),
        ("address", "answer_ms", "failure", "last_leads", "last_in_sync"),
        unknown=("leads", "in_sync"),
    ),
    _METADATA,
    _HEADROOM,
    _QUORUM,
    Layout(
        "topics",
        "Topics",
        ("topic", "partitions", "replicas", "min_isr", "whole", "offline", "messages"),
        ("may_lose", "verdict"),
        unknown=("whole", "offline", "messages", "may_lose"),
    ),
    Layout("groups", "Groups", ("group", "state", "lag", "means"), ("kind", "coordinator", "partitions")),
)

PARTITIONS_LAYOUTS = (
    _METADATA,
    Layout(
        "partitions",
        "Partitions",
        ("topic", "partition", "leader", "isr", "hw", "leo", "lag", "may_lose", "state"),
        ("start", "lso", "replicas", "min_isr", "leader_epoch", "last_leader", "last_isr", "adding", "removing"),
        unknown=("leader", "isr", "hw", "leo", "lag", "may_lose"),
        folded="folded",
    ),
    Layout(
        "internal",
        "Kafka's own topics",
        ("topic", "partitions", "well", "leaders", "may_lose"),
        unknown=("well", "may_lose"),
    ),
)

TOPICS_LAYOUTS = (
    Layout("metadata", "Leaders and ISR", (), ("state", "age_ms", "source", "why"), unknown=("age_ms",)),
    Layout(
        "topics",
        "Topics",
        ("topic", "partitions", "replicas", "min_isr", "retention", "size_bytes", "cleanup", "verdict"),
        ("may_lose", "whole", "offline", "preferred", "messages", "retention_bytes", "inventory", "internal"),
        unknown=(
            "min_isr",
            "retention",
            "size_bytes",
            "cleanup",
            "may_lose",
            "whole",
            "offline",
            "preferred",
            "messages",
        ),
    ),
)

QUORUM_LAYOUTS = (
    _QUORUM,
    Layout(
        "voters",
        "Controllers and brokers",
        ("node", "host", "votes", "state", "broker", "lag", "behind_ms"),
        ("log_end",),
        unknown=("behind_ms",),
    ),
    _METADATA,
)

LOSS_LAYOUTS = (
    Layout(
        "loss",
        "Without these nodes",
        ("lost", "controller", "voters_left", "offline", "no_writes", "leader_moves"),
        ("silent", "voters"),
        unknown=("controller", "voters_left", "offline", "no_writes", "leader_moves"),
    ),
    Layout(
        "topics",
        "Topics",
        ("topic", "partitions", "offline", "no_writes", "leader_moves"),
        ("offline_partitions", "no_writes_partitions"),
        unknown=("offline", "no_writes", "leader_moves"),
    ),
    _HEADROOM,
)

ELECTION_LAYOUTS = (Layout("partitions", "Leaders", ("topic", "partition", "leader", "preferred", "result")),)
