"""The tables in which people see what came of a test message, and what would have been sent."""

from __future__ import annotations

from obsctl.core.layout import Layout

CHANNELS_LAYOUTS = (
    Layout("channels", "Channels", ("name", "type", "delivered", "verdict", "vendor_code", "took_ms", "mentions")),
    Layout("requests", "Requests (not sent)", ("name", "type", "mentions", "request")),
)
