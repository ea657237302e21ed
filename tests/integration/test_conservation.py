"""Conservation of lines over crash points: one schedule of faults, each at least once. More: conservation.py."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rig.tools import missing_tools
from tests.integration import conservation

POINTS = int(os.environ.get("OBSCTL_CRASH_POINTS", str(len(conservation.SCHEDULE))))
SEED = int(os.environ.get("OBSCTL_CRASH_SEED", "20260102"))


def test_a_schedule_holds_every_fault() -> None:
    assert len(conservation.SCHEDULE) == 50
    named = {conservation.fault_of(SEED, point).name for point in range(len(conservation.SCHEDULE))}
    assert named == {fault.name for fault in conservation.FAULTS}


@pytest.mark.timeout(300 + POINTS * 60)
def test_every_line_once_whatever_fails(kafka_libs: Path, tmp_path: Path) -> None:
    if reason := missing_tools():
        pytest.skip(reason)
    servers = conservation.Servers(kafka_libs, tmp_path)
    try:
        results = list(conservation.run(servers, tmp_path, SEED, range(POINTS)))
    finally:
        servers.stop()
    assert len(results) == POINTS
    assert [result for result in results if not result["ok"]] == []
