"""The check ``verify vip``."""

from __future__ import annotations

from functools import partial

from obsctl.checks.ask.web import Scheme
from obsctl.checks.check import Check
from obsctl.checks.vip.collect import collect_vip
from obsctl.checks.vip.judge import describe_vip, judge_vip
from obsctl.checks.vip.snapshot import VipSnapshot
from obsctl.checks.vip.tables import VIP_LAYOUTS


def vip_check(scheme: Scheme = "") -> Check[VipSnapshot]:
    """Return the check of the virtual address.

    Args:
        scheme: ``http`` or ``https``; empty for the inventory's choice.
    """
    return Check("verify vip", VipSnapshot, partial(collect_vip, scheme=scheme), judge_vip, describe_vip, VIP_LAYOUTS)
