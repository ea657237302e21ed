"""The check ``kafka lag``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from obsctl.checks.check import Check
from obsctl.checks.lag.collect import WINDOW_S, collect_lag
from obsctl.checks.lag.judge import describe_lag, judge_lag
from obsctl.checks.lag.snapshot import LagSnapshot
from obsctl.checks.lag.tables import LAG_LAYOUTS
from obsctl.core.errors import UsageError
from obsctl.core.nearest import did_you_mean
from obsctl.fleet.model import Fleet


def lag_check(groups: Sequence[str] = (), window_s: float = WINDOW_S) -> Check[LagSnapshot]:
    """Return the check of the groups over a window.

    Args:
        groups: only these; all if empty.
        window_s: how long to watch them (seconds).
    """

    def describe(fleet: Fleet, seen: LagSnapshot) -> dict[str, Any]:
        known = {group.name for group in seen.groups}
        unknown = [name for name in groups if name not in known]
        if unknown and not seen.errors and not seen.denied and all(broker.answered for broker in seen.brokers):
            hint = did_you_mean(unknown, seen.listed, "obsctl kafka lag lists the groups")
            raise UsageError(f"the cluster has no group {', '.join(unknown)}", hint=hint)
        return describe_lag(fleet, seen)

    collect = partial(collect_lag, window_s=window_s, groups=groups)
    return Check("kafka lag", LagSnapshot, collect, judge_lag, describe, LAG_LAYOUTS)
