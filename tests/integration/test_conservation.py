"""Conservation of lines over crash points: every fault of a schedule once. More points: conservation.py.

``OBSCTL_CRASH_POINTS=50`` runs the whole schedule, in which the faults whose moment is random come several times.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from rig.tools import missing_tools
from tests.integration import conservation

SEED = int(os.environ.get("OBSCTL_CRASH_SEED", "20260102"))


def points() -> Sequence[int]:
    """Return the first so many points, or of the first schedule those at which a fault comes for the first time."""
    if count := os.environ.get("OBSCTL_CRASH_POINTS"):
        return range(int(count))
    first: dict[str, int] = {}
    for point in range(len(conservation.SCHEDULE)):
        first.setdefault(conservation.fault_of(SEED, point).name, point)
    return sorted(first.values())


POINTS = points()


def test_a_schedule_holds_every_fault() -> None:
    assert len(conservation.SCHEDULE) == 50
    named = {conservation.fault_of(SEED, point).name for point in range(len(conservation.SCHEDULE))}
    assert named == {fault.name for fault in conservation.FAULTS}


@pytest.mark.skipif("OBSCTL_CRASH_POINTS" in os.environ, reason="OBSCTL_CRASH_POINTS names other points")
def test_every_fault_is_injected_once() -> None:
    assert sorted(conservation.fault_of(SEED, point).name for point in POINTS) == sorted(
        fault.name for fault in conservation.FAULTS
    )


@pytest.mark.timeout(300 + len(POINTS) * 60)
def test_every_line_once_whatever_fails(kafka_libs: Path, tmp_path: Path) -> None:
    if reason := missing_tools():
        pytest.skip(reason)
    servers = conservation.Servers(kafka_libs, tmp_path)
    try:
        results = list(conservation.run(servers, tmp_path, SEED, POINTS))
    finally:
        servers.stop()
    assert [result["point"] for result in results] == list(POINTS)
    failed = [f"point {one['point']}, {one['fault']}: {one['error']}" for one in results if not one["ok"]]
    assert not failed, "\n".join(failed)
