"""A running unit is stale when the disk is newer than its last start or reload; nothing else is."""

from __future__ import annotations

import pytest

from rig import collection  # noqa: F401  # makes ansible_collections importable

from ansible_collections.obscraft.fleet.plugins.modules import unit_stale  # isort: skip

#: The machine was up for 1,000 s at the wall time 50,000; the unit started 100 s ago, at 49,900.
NOW = {"wall_seconds": 50_000.0, "monotonic_seconds": 1_000.0}
STARTED = "InactiveExitTimestampMonotonic=900000000"


def unread(shown: str, **written: float) -> list[str]:
    files = ["conf", "unit", "missing"]
    return unit_stale.unread_files(unit_stale.parse(shown), files, "mark", written.get, **NOW)


def test_files_written_since_the_start_are_unread():
    assert unread(f"ActiveState=active\n{STARTED}\n", conf=49_900.5, unit=49_899.5) == ["conf"]


def test_what_a_noted_reload_has_read_is_read():
    shown = f"ActiveState=active\n{STARTED}\n"
    assert unread(shown, conf=49_950.0, mark=49_951.0) == []
    assert unread(shown, conf=49_952.0, mark=49_951.0) == ["conf"]
    # The mark of an earlier life of the unit says nothing about this one.
    assert unread(shown, conf=49_899.0, mark=49_800.0) == []


def test_a_reload_that_failed_has_read_nothing():
    """Systemd's time of the last change of state is that of the failed reload."""
    failed = f"ActiveState=active\n{STARTED}\nStateChangeTimestampMonotonic=990000000\n"
    assert unread(failed, conf=49_950.0) == ["conf"]


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
