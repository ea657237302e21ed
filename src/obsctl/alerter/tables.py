"""The tables in which people see what was found out about rules."""

from __future__ import annotations

from obsctl.core.layout import Layout

CHECK_LAYOUTS = (Layout("rules", "Rules", ("name", "kind", "severity", "testable", "why_not"), wide=("open",)),)
REPLAY_LAYOUTS = (
    Layout("totals", "Lines", ("lines", "unreadable", "first", "last", "messages")),
    Layout("rules", "Rules", ("name", "fires", "messages", "first", "last")),
    Layout("conditions", "Conditions", (), wide=("rule", "labels", "started", "ended", "peak")),
    Layout("messages", "Messages", (), wide=("at", "rule", "title")),
)
