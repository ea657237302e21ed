"""Writes files completely or not at all."""

from __future__ import annotations

import tempfile
from pathlib import Path


def write(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Replace or create a file atomically; after an interruption or on a full disk the old file stays.

    Args:
        path: in an existing folder.
        content: all of it.
        mode: permissions.

    Raises:
        OSError: it cannot be written.
    """
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as new:
        beside = Path(new.name)
        try:
            new.write(content)
            new.flush()
            beside.chmod(mode)
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
