"""The tables in which people see what this check describes."""

from __future__ import annotations

from obsctl.core.layout import Layout

CANARY_LAYOUTS = (
    Layout(
        "brokers",
        "Brokers",
        ("broker", "host", "sent", "acknowledged", "returned", "ack_p50_ms", "ack_p99_ms", "back_p99_ms"),
        ("partitions", "back_p50_ms"),
    ),
)
