"""The tables in which people see what this check describes."""

from __future__ import annotations

from obsctl.core.layout import Layout

CONSUMER_LAYOUTS = (
    Layout(
        "summary",
        "",
        ("lag", "rate", "behind_s", "last_stored_s", "newest_event", "dead_letters"),
        ("letters_due", "former_sources", "positions_from"),
    ),
    Layout(
        "hosts",
        "Consumers",
        ("host", "unit", "status", "stored", "known", "quarantined", "fenced", "missing_offsets", "read_by"),
        ("native", "native_faults", "last_commit_at", "started_at"),
    ),
    Layout(
        "positions",
        "Positions",
        ("name", "position", "end", "lag", "behind_s", "newest_event"),
        ("start", "moved_s", "source_id", "topic_id", "cluster_id"),
    ),
    Layout(
        "last_positions",
        "Last known positions",
        ("name", "position", "end", "lag", "known_by", "age_s"),
    ),
    Layout("quarantine", "Quarantine", ("reason", "lines", "first", "last")),
    Layout("tables", "Tables", ("table", "days_ahead", "beyond_rows")),
)
