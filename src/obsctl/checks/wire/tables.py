"""The tables in which people see how far the rule tests got, and what would have been sent."""

from __future__ import annotations

from obsctl.core.layout import Layout

#: Times in seconds since the rule's first request.
WIRE_LAYOUTS = (
    Layout("rules", "Rules", ("name", "result", "hops"), wide=("requests", "answered", "lines", "channels", "mark")),
    Layout("plans", "Requests (not sent)", ("name", "testable", "requests", "takes_s", "first"), wide=("why_not",)),
)
