"""The tables in which people see what this check describes."""

from __future__ import annotations

from obsctl.core.layout import Layout

LAG_LAYOUTS = (
    Layout(
        "groups",
        "Groups",
        ("group", "verdict", "lag", "produced", "consumed", "behind_s", "eta_s"),
        ("gone", "expires_in_s", "positions_in", "partitions", "coordinator"),
    ),
    Layout("states", "States", ("group", "state", "means"), ("kind",)),
    Layout(
        "lagging",
        "Partitions with records to read",
        ("group", "name", "position", "end", "lag", "gone", "verdict"),
        ("start", "log_end", "produced", "consumed", "behind_s", "expires_in_s"),
    ),
)
