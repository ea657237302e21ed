"""The tables, for people, of the commands about rules."""

from __future__ import annotations

from obsctl.core.layout import Layout

CHECK_LAYOUTS = (Layout("rules", "Rules", ("name", "kind", "severity", "testable", "why_not"), wide=("open",)),)
REPLAY_LAYOUTS = (
    Layout("totals", "Lines", ("lines", "unreadable", "first", "last", "messages"), wide=("late", "ahead", "repeated")),
    Layout("rules", "Rules", ("name", "fires", "messages", "first", "last")),
    Layout("conditions", "Conditions", (), wide=("rule", "labels", "started", "ended", "peak")),
    Layout("messages", "Messages", (), wide=("at", "rule", "title")),
)
SILENCE_LAYOUTS = (
    Layout(
        "silences",
        "Silences",
        ("id", "state", "filter", "ends", "author", "reason"),
        wide=("starts", "created", "ended_by"),
    ),
    Layout("would_hold_back", "Would hold back", ("alert", "severity", "incident")),
)
LIST_LAYOUTS = (
    Layout(
        "alerts",
        "Alerts",
        ("rule", "key", "state", "severity", "started", "reported", "held_back_by", "incident"),
        wide=("last_true", "next_message"),
    ),
)
HISTORY_LAYOUTS = (Layout("records", "", ("at", "event", "text"), wide=("incident", "thread")),)
WHY_LAYOUTS = (
    Layout("alerts", "Alerts", ("alert", "state", "severity", "started", "ended", "incident")),
    Layout(
        "messages",
        "Messages",
        ("at", "reason", "title", "delivered_by", "waits_for"),
        wide=("route", "named", "message_id"),
    ),
    Layout("records", "What happened", ("at", "event", "text")),
)
WOULD_FIRE_LAYOUTS = (
    Layout(
        "result",
        "Would have fired",
        ("rule", "options", "begin", "end", "fires", "messages", "recorded", "lines"),
        wide=("whole", "late", "ahead", "not_listed"),
    ),
    Layout("conditions", "Conditions", ("labels", "started", "ended", "peak")),
    Layout("recorded", "In the history", ("labels", "started", "ended", "incident")),
)
