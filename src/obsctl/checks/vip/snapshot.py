"""What was seen of the virtual address: on which nodes it is, and who answers on it."""

from __future__ import annotations

import msgspec

from obsctl.core.report import Fault


class LbNode(msgspec.Struct, frozen=True, kw_only=True):
    """One host of the group lb.

    Attributes:
        failure: why it could not be asked over ssh; the fields below up to ``macs`` mean nothing then.
        holds_vip: whether one of its interfaces carries the address.
        keepalived: systemd's word for the unit (``active``, ``inactive``, ``failed``, ...), empty if unknown.
        macs: of all its interfaces, lower case.
        nginx_failure: why its nginx does not answer on the node's own address, or, where it listens on the VIP alone,
            why its unit could not; empty when it can.
    """

    name: str
    address: str
    priority: int | None = None
    failure: str = ""
    holds_vip: bool = False
    keepalived: str = ""
    macs: tuple[str, ...] = ()
    nginx_failure: str = ""


class VipSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The virtual address at one moment.

    Attributes:
        vip_failure: why nothing answers on the VIP as seen from here, empty when something does.
        answered_by: the balancer's name for itself in the answer through the VIP, empty if it sends none.
        neighbour_mac: who owns the VIP in this machine's neighbour table; empty where a router lies between.
    """

    vip: str
    port: int = 80
    nodes: tuple[LbNode, ...] = ()
    vip_failure: str = ""
    answered_by: str = ""
    neighbour_mac: str = ""
    errors: tuple[Fault, ...] = ()
