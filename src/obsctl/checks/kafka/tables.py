"""The tables in which people see what this check describes."""

from __future__ import annotations

from obsctl.core.layout import Layout

CLUSTER_LAYOUTS = (
    Layout(
        "brokers",
        "Brokers",
        ("broker", "host", "state", "leads", "in_sync", "replicas", "log_bytes", "disk_free"),
        ("address", "answer_ms", "failure"),
    ),
    Layout("quorum", "Controller quorum", ("leader", "epoch", "voters", "lag", "may_fail"), ("behind_ms",)),
    Layout("topics", "Topics", ("topic", "partitions", "replicas", "min_isr", "whole", "offline", "messages")),
    Layout("groups", "Groups", ("group", "state", "lag"), ("coordinator", "partitions")),
)

PARTITIONS_LAYOUTS = (
    Layout(
        "partitions",
        "Partitions",
        ("topic", "partition", "leader", "isr", "start", "lso", "hw", "leo", "lag"),
        ("replicas", "min_isr", "leader_epoch"),
    ),
)
