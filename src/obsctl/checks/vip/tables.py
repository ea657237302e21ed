"""The tables in which people see what this check describes."""

from __future__ import annotations

from obsctl.core.layout import Layout

VIP_LAYOUTS = (
    Layout("vip", "", ("address", "holders", "answers", "answered_by")),
    Layout("nodes", "Nodes", ("node", "holds_vip", "keepalived", "vrrp", "nginx"), ("address", "priority", "failure")),
)
