"""Files that a command writes at its end: an unwritable path is refused at the beginning."""

from __future__ import annotations

import os
from pathlib import Path

from obsctl.core.errors import ConfigError


def refuse_unwritable(path: Path, what: str) -> None:
    """Refuse a file that cannot be written, before doing the work whose result it will hold.

    Args:
        path: of the file; a device or a pipe will do.
        what: it will hold, such as ``the report``.

    Raises:
        ConfigError: it is a folder, its folder does not exist, or it may not be written.
    """
    if path.is_dir():
        why = "it is a folder"
    elif not path.parent.is_dir():
        why = f"there is no folder {path.parent}"
    elif not os.access(path if path.exists() else path.parent, os.W_OK):
        why = "it may not be written"
    else:
        return
    raise ConfigError(f"{what} cannot be written to {path}: {why}")
