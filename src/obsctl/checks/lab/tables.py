"""The tables in which people see what this check describes."""

from __future__ import annotations

from obsctl.core.layout import Layout

LAB_LAYOUTS = (Layout("hosts", "", ("name", "address", "running", "cable", "ssh")),)
