"""The folders of this user's files: a cache, and state that cannot be recreated."""

from __future__ import annotations

import os
from pathlib import Path

from obsctl.core.errors import ConfigError


def cache_root() -> Path:
    """Return ``${XDG_CACHE_HOME:-~/.cache}/obsctl``; a relative XDG_CACHE_HOME is ignored, as XDG requires.

    Raises:
        ConfigError: this user has no home directory.
    """
    return _root("XDG_CACHE_HOME", ".cache", "a cache")


def state_root() -> Path:
    """Return ``${XDG_STATE_HOME:-~/.local/state}/obsctl``, by the same rules.

    Raises:
        ConfigError: this user has no home directory.
    """
    return _root("XDG_STATE_HOME", ".local/state", "state")


def _root(variable: str, default: str, what: str) -> Path:
    base = os.environ.get(variable, "")
    if base.startswith("/"):
        return Path(base) / "obsctl"
    try:
        return Path.home() / default / "obsctl"
    except RuntimeError:
        raise ConfigError(
            f"this user has no home directory to keep {what} in", hint=f"set HOME or {variable}"
        ) from None
