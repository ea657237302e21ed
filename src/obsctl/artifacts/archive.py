"""Reproducible archives: the same files give the same bytes."""

from __future__ import annotations

import gzip
import tarfile
from pathlib import Path


def pack(folder: Path, target: Path) -> None:
    """Write ``folder`` as a gzip-compressed tar whose only top directory is the folder's name.

    Sorted, with owner and times set to zero, and executable only where the file is.
    """
    # Level 1: jars are compressed already, and for a binary level 9 costs seconds for a tenth of its size.
    with (
        target.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=1, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for path in (folder, *sorted(folder.rglob("*"))):
            entry = tar.gettarinfo(path, arcname=str(path.relative_to(folder.parent)))
            entry.uid = entry.gid = entry.mtime = 0
            entry.uname = entry.gname = "root"
            entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
            if entry.isfile():
                with path.open("rb") as file:
                    tar.addfile(entry, file)
            else:
                tar.addfile(entry)
