"""The check before an installation, ``health --pre``."""

from __future__ import annotations

from functools import partial

from obsctl.checks.check import Check
from obsctl.checks.ready.collect import collect_ready
from obsctl.checks.ready.judge import describe_ready, judge_ready
from obsctl.checks.ready.snapshot import ReadySnapshot
from obsctl.checks.ready.tables import READY_LAYOUTS
from obsctl.core.errors import ObsctlError
from obsctl.fleet.model import Fleet


def ready_check(fleet: Fleet | None = None, unread: ObsctlError | None = None) -> Check[ReadySnapshot]:
    """Return the check of an inventory's hosts before anything is installed on them.

    Args:
        fleet: of the inventory; without hosts if that could not be read.
        unread: why it could not be read; the preflight may still judge it.
    """
    collect = partial(collect_ready, unread=unread)
    return Check("health --pre", ReadySnapshot, collect, judge_ready, describe_ready, READY_LAYOUTS, fleet=fleet)
