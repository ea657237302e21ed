"""Free space on the disks of the alerter's own host."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


def free_shares(folders: Iterable[Path]) -> dict[str, float]:
    """Return the free part of each folder's disk, 0 to 1, of what may be written without being root.

    A folder that cannot be asked about is not there.
    """
    found = {}
    for folder in folders:
        try:
            disk = os.statvfs(folder)
        except OSError:
            continue
        if disk.f_blocks:
            found[str(folder)] = round(disk.f_bavail / disk.f_blocks, 4)
    return found
