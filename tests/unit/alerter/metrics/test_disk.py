"""How much room there is on a disk."""

from __future__ import annotations

import os
from pathlib import Path

from obsctl.alerter.metrics.disk import free_shares


def test_the_free_part_is_that_of_the_file_system(tmp_path: Path) -> None:
    disk = os.statvfs(tmp_path)
    found = free_shares([tmp_path, tmp_path / "absent"])
    assert found.keys() == {str(tmp_path)}
    assert abs(found[str(tmp_path)] - disk.f_bavail / disk.f_blocks) < 0.05
