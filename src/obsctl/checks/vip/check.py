"""The check ``verify vip``."""

from __future__ import annotations

from obsctl.checks.check import Check
from obsctl.checks.vip.collect import collect_vip
from obsctl.checks.vip.judge import describe_vip, judge_vip
from obsctl.checks.vip.snapshot import VipSnapshot
from obsctl.checks.vip.tables import VIP_LAYOUTS


def vip_check() -> Check[VipSnapshot]:
    """Return the check of the virtual address."""
    return Check("verify vip", VipSnapshot, collect_vip, judge_vip, describe_vip, VIP_LAYOUTS)
