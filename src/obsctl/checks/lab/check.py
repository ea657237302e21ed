"""The check ``lab status``."""

from __future__ import annotations

from collections.abc import Callable

from obsctl.checks.check import Check
from obsctl.checks.lab.judge import describe_lab, judge_lab
from obsctl.checks.lab.snapshot import LabSnapshot
from obsctl.checks.lab.tables import LAB_LAYOUTS
from obsctl.fleet.model import Fleet


def lab_check(look: Callable[[], LabSnapshot]) -> Check[LabSnapshot]:
    """Return the check of the embedded fleet, which is on this machine and in no inventory.

    Args:
        look: collects the snapshot; only the lab's commands know the lab.
    """
    return Check("lab status", LabSnapshot, lambda _fleet: look(), judge_lab, describe_lab, LAB_LAYOUTS, fleet=Fleet())
