"""The virtual address: which nodes have it, and who answers on it."""

from __future__ import annotations

import msgspec

from obsctl.checks.web_refusal import Refusal
from obsctl.core.report import Fault
from obsctl.fleet.login import FailureKind


class LbNode(msgspec.Struct, frozen=True, kw_only=True):
    """One host of the group lb.

    Attributes:
        failure: why it could not be asked over ssh; then the fields below up to ``macs`` are meaningless.
        failure_kind: kind of the failure, for programs; None if there is an answer or the failure is not ssh's.
        hint: what to do about the failure.
        holds_vip: whether one of its interfaces has the address.
        vip_on: which interface has it, as an argument of ``ip addr``: ``ADDRESS/PREFIX dev NAME``; empty if none.
        also_on: further interfaces with it.
        keepalived: systemd's state of the unit (``active``, ``inactive``, ``failed``, ...); empty if unknown.
        keepalived_hangs: the evidence that keepalived hangs although its unit is active; empty if it does not.
        vrrp: the state that keepalived says it entered last (``MASTER``, ``BACKUP``, ``FAULT``); empty if unknown.
        macs: of all its interfaces, lower case.
        nginx_failure: why its nginx does not answer on the node's own address, or, if nginx listens only on the VIP,
            why its unit could not answer; empty if it can.
        nginx_hangs: whether its processes are stopped although its unit is active.
        refusal: why no request was sent although its nginx answers; None if one was sent, or nginx is silent.
    """

    name: str
    address: str
    priority: int | None = None
    failure: str = ""
    failure_kind: FailureKind | None = None
    hint: str = ""
    holds_vip: bool = False
    vip_on: str = ""
    also_on: tuple[str, ...] = ()
    keepalived: str = ""
    keepalived_hangs: str = ""
    vrrp: str = ""
    macs: tuple[str, ...] = ()
    nginx_failure: str = ""
    nginx_hangs: bool = False
    refusal: Refusal | None = None

    @property
    def added_by_hand(self) -> bool:
        """Whether it holds the address although its keepalived runs and says that it does not."""
        return self.holds_vip and self.vrrp in ("BACKUP", "FAULT") and not self.keepalived_hangs


class VipSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The virtual address at one moment.

    Attributes:
        vip_failure: why nothing answers on the VIP from here; empty if something does.
        refusal: why no request was sent although something answers there; None if one was sent, or nothing answers.
        answered_by: the balancer's name in the answer through the VIP; empty if it sends none.
        neighbour_mac: the VIP's hardware address in this machine's neighbour table; empty behind a router.
        first_holders: who held it at the first look, if that showed an unstable state; None if one look was enough.
        watched_s: seconds from the first look to this one.
    """

    vip: str
    port: int = 80
    nodes: tuple[LbNode, ...] = ()
    vip_failure: str = ""
    refusal: Refusal | None = None
    answered_by: str = ""
    neighbour_mac: str = ""
    first_holders: tuple[str, ...] | None = None
    watched_s: float = 0.0
    errors: tuple[Fault, ...] = ()
