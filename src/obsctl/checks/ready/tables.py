"""The table in which people see what this check describes."""

from __future__ import annotations

from obsctl.core.layout import Layout

READY_LAYOUTS = (
    Layout(
        "hosts",
        "Hosts",
        ("host", "address", "ssh", "root", "system", "synchronized", "paths"),
        wide=("memory_bytes", "free_bytes"),
    ),
)
