"""The tables in which people see what this check describes."""

from __future__ import annotations

from obsctl.core.layout import Layout

HEALTH_LAYOUTS = (
    Layout("layers", "Layers", ("layer", "status", "detail")),
    Layout("hosts", "Hosts", ("host", "answers", "running", "least_free_disk"), ("units",)),
)
