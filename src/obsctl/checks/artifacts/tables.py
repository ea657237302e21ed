"""The tables in which people see what this check describes."""

from __future__ import annotations

from obsctl.core.layout import Layout

ARTIFACT_LAYOUTS = (Layout("artifacts", "", ("path", "version", "origin", "size_bytes"), ("sha256",)),)
