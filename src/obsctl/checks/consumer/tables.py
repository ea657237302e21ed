"""The tables in which people see what this check describes."""

from __future__ import annotations

from obsctl.core.layout import Layout

CONSUMER_LAYOUTS = (
    Layout(
        "summary",
        "",
        ("lag", "rate", "behind_s", "last_stored_s", "newest_event", "dead_letters"),
        ("letters_due", "former_sources"),
    ),
    Layout(
        "hosts",
        "Consumers",
        ("host", "unit", "status", "stored", "known", "quarantined", "fenced", "missing_offsets"),
        ("last_commit_at", "started_at"),
    ),
    Layout(
        "positions",
        "Positions",
        ("topic", "partition", "start", "position", "end", "lag", "behind_s", "moved_s", "newest_event"),
        ("source_id", "topic_id", "cluster_id"),
    ),
    Layout("quarantine", "Quarantine", ("reason", "lines", "first", "last")),
    Layout("tables", "Tables", ("table", "days_ahead", "beyond_rows")),
)
