"""Free space on the disks of the alerter's own host."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


def free_shares(folders: Iterable[Path]) -> dict[str, float]:
    """Return the free share of each folder's disk, 0 to 1, not counting blocks reserved for root.

    A folder whose disk cannot be examined is left out.
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
