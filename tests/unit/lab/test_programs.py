"""A missing privilege or program is said before anything is touched."""

from __future__ import annotations

import os
import shutil
import sys

import pytest

from obsctl.core.errors import MissingDependencyError, RefusedError
from obsctl.lab import programs
from obsctl.lab.errors import LabError


def test_without_root_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(RefusedError, match="obsctl lab up needs root"):
        programs.require(programs.TO_BUILD_AND_RUN, "obsctl lab up")


def test_missing_programs_are_named_by_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(programs, "_has_capability", lambda _bit: True)
    absent = {"systemd-nspawn", "nft"}
    monkeypatch.setattr(shutil, "which", lambda name: None if name in absent else f"/bin/{name}")
    with pytest.raises(MissingDependencyError, match=r"apt-get install nftables systemd-container$"):
        programs.require(programs.TO_BUILD_AND_RUN, "obsctl lab up")


def test_a_root_without_rights_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(programs, "_has_capability", lambda _bit: False)
    with pytest.raises(RefusedError, match="the right to mount"):
        programs.require((), "obsctl lab up")


def test_a_failure_repeats_the_programs_complaint() -> None:
    with pytest.raises(LabError, match="No such file or directory"):
        programs.run(["ls", "/absent"])


def test_a_session_of_its_own_can_be_ended_without_the_callers() -> None:
    ask = [sys.executable, "-c", "import os; print(os.getsid(0) == os.getpid())"]
    assert [programs.run(ask, own_session=True), programs.run(ask)] == ["True\n", "False\n"]
