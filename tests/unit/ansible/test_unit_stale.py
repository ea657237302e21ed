"""A running unit is stale when the disk is newer than its last start or reload; nothing else is."""

from __future__ import annotations

import pytest

from tests import collection  # noqa: F401  # makes ansible_collections importable

from ansible_collections.obscraft.fleet.plugins.modules import unit_stale  # isort: skip

#: The machine was up for 1,000 s at the wall time 50,000; the unit started 100 s ago, at 49,900.
NOW = {"wall_seconds": 50_000.0, "monotonic_seconds": 1_000.0}
STARTED = "StateChangeTimestampMonotonic=900000000"


def unread(shown: str, **written: float) -> list[str]:
    files = ["conf", "unit", "missing"]
    return unit_stale.unread_files(unit_stale.parse(shown), files, written.get, **NOW)


def test_files_written_since_the_start_are_unread():
    assert unread(f"ActiveState=active\n{STARTED}\n", conf=49_900.5, unit=49_899.5) == ["conf"]


@pytest.mark.parametrize("state", ["inactive", "failed", "deactivating"])
def test_what_does_not_run_will_read_all_when_it_starts(state: str):
    assert unread(f"ActiveState={state}\n{STARTED}\n", conf=49_999.0) == []


def test_a_unit_on_its_way_counts_as_running():
    assert unread(f"ActiveState=activating\n{STARTED}\n", conf=49_999.0) == ["conf"]


def test_a_link_counts_itself(tmp_path):
    release, link = tmp_path / "release", tmp_path / "current"
    release.mkdir()
    link.symlink_to(release)
    assert unit_stale.modified(str(link)) == link.lstat().st_mtime
    assert unit_stale.modified(str(tmp_path / "nothing")) is None
