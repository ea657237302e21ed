"""What was seen of the virtual address: on which nodes it is, and who answers on it."""

from __future__ import annotations

import msgspec

from obsctl.checks.web_refusal import Refusal
from obsctl.core.report import Fault
from obsctl.fleet.login import FailureKind


class LbNode(msgspec.Struct, frozen=True, kw_only=True):
    """One host of the group lb.

    Attributes:
        failure: why it could not be asked over ssh; the fields below up to ``macs`` mean nothing then.
        failure_kind: the same for programs; None where there is an answer, or where it is not ssh's failure.
        hint: what to do about the failure.
        holds_vip: whether one of its interfaces carries the address.
        vip_on: which one does, as ``ip addr`` takes it: ``ADDRESS/PREFIX dev NAME``; empty if none.
        also_on: further ones of them.
        keepalived: systemd's word for the unit (``active``, ``inactive``, ``failed``, ...), empty if unknown.
        keepalived_hangs: how it is seen that keepalived does not run on although its unit is active; empty if it does.
        vrrp: the state that keepalived says it entered last (``MASTER``, ``BACKUP``, ``FAULT``); empty if unknown.
        macs: of all its interfaces, lower case.
        nginx_failure: why its nginx does not answer on the node's own address, or, where it listens on the VIP alone,
            why its unit could not; empty when it can.
        nginx_hangs: its processes are stopped, although its unit is active.
        refusal: why its nginx answers and no request was sent to it; None where one was, or it is silent.
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
        vip_failure: why nothing answers on the VIP as seen from here, empty when something does.
        refusal: why something answers there and no request was sent to it; None where one was, or it is silent.
        answered_by: the balancer's name for itself in the answer through the VIP, empty if it sends none.
        neighbour_mac: who owns the VIP in this machine's neighbour table; empty where a router lies between.
        first_holders: who held it at a first look that showed no settled state; None where one look was enough.
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
