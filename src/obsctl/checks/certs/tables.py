"""The tables in which people see what this check describes."""

from __future__ import annotations

from obsctl.core.layout import Layout

CERTS_LAYOUTS = (
    Layout(
        "certificates", "",
        ("host", "use", "port", "state", "days_left"), ("ends", "names", "subject", "fingerprint"),
    ),
    Layout("authorities", "Trusted", ("authority", "days_left"), ("ends", "fingerprint")),
)  # fmt: skip
