"""The check ``kafka canary``."""

from __future__ import annotations

from functools import partial

from obsctl.checks.canary.collect import COUNT, collect_canary
from obsctl.checks.canary.judge import describe_canary, judge_canary
from obsctl.checks.canary.snapshot import CanarySnapshot
from obsctl.checks.canary.tables import CANARY_LAYOUTS
from obsctl.checks.check import Check


def canary_check(count: int = COUNT, *, dry_run: bool = False) -> Check[CanarySnapshot]:
    """Return the check that writes to each broker and reads back.

    Args:
        count: records to each partition of the canary's topic.
        dry_run: write nothing; only show where it would be written.
    """
    collect = partial(collect_canary, count=count, dry_run=dry_run)
    return Check("kafka canary", CanarySnapshot, collect, judge_canary, describe_canary, CANARY_LAYOUTS)
