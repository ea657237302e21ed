"""The one folder below which the project caches downloads, builds and inventories."""

from __future__ import annotations

import os
from pathlib import Path

from obsctl.core.errors import ConfigError


def cache_root() -> Path:
    """Return ``${XDG_CACHE_HOME:-~/.cache}/obsctl``; a relative XDG_CACHE_HOME does not count, as XDG has it.

    Raises:
        ConfigError: this user has no home directory.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    if base.startswith("/"):
        return Path(base) / "obsctl"
    try:
        return Path.home() / ".cache" / "obsctl"
    except RuntimeError:
        raise ConfigError(
            "this user has no home directory to keep a cache in", hint="set HOME or XDG_CACHE_HOME"
        ) from None
