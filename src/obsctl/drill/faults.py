"""What a drill breaks and how: targets, their hosts, the commands, and the allowed outage of each; pure."""

from __future__ import annotations

import enum
import shlex
from collections.abc import Mapping
from typing import NamedTuple

from obsctl.core.errors import RefusedError, UsageError
from obsctl.core.nearest import did_you_mean
from obsctl.fleet.model import Fleet, Host

#: The unit on the host that restores the target by a timer; its name can exist only once, so there is one drill per
#: host.
TIMER = "obsctl-drill"
_TABLE = "obsctl_drill"


class How(enum.StrEnum):
    """How the target is broken."""

    STOP = "stop"
    KILL = "kill"
    FREEZE = "freeze"
    CUT = "cut"


class Target(enum.StrEnum):
    """What is broken."""

    VIP = "vip"
    NGINX = "nginx"
    BACKEND = "backend"
    BROKER = "broker"
    DATABASE = "database"
    CONSUMER = "consumer"
    ALERTER = "alerter"


class Kind(NamedTuple):
    """A kind of target.

    Attributes:
        group: of its hosts.
        outage_s: how long requests may fail, seconds; None if none may fail.
        stall_s: how long no row may be stored (for the alerter: no work done) in addition to the fault's own time,
            seconds.
        spare: whether another host of the group takes over, so that the fault's own time is not added.
        reason: for these limits.
    """

    group: str
    outage_s: float
    stall_s: float
    spare: bool
    reason: str


KINDS: Mapping[Target, Kind] = {
    Target.VIP: Kind("lb", 6.0, 15.0, True, "three adverts of 1 s are missed, then a new master announces the address"),
    Target.NGINX: Kind(
        "lb", 8.0, 15.0, True, "the check runs every 2 s, must fail twice, and each run takes up to 1 s"
    ),
    Target.BACKEND: Kind("backend", 3.0, 15.0, True, "nginx tries the next back end after 1 s"),
    Target.BROKER: Kind("kafka", 0.0, 25.0, True, "a session of 9 s expires, then the partitions get a new leader"),
    Target.DATABASE: Kind("mysql", 0.0, 20.0, False, "rows wait in Kafka until the server answers again"),
    Target.CONSUMER: Kind("consumer", 0.0, 30.0, True, "a member's session expires, or systemd restarts the unit"),
    Target.ALERTER: Kind("consumer", 0.0, 30.0, True, "a session of 8 s expires, then the other alerter takes over"),
}


class Aim(NamedTuple):
    """The target, method and host of a drill.

    Attributes:
        target: what is broken.
        how: it is broken.
        host: where.
        unit: systemd's unit; for ``cut`` the whole host is cut off.
        vip: the fleet's virtual address; empty where it has none.
    """

    target: Target
    how: How
    host: Host
    unit: str
    vip: str = ""

    @property
    def words(self) -> str:
        """What happens, such as ``stop keepalived on node1``."""
        if self.how is How.CUT:
            return f"cut {self.host.name} off the network (ssh stays open)"
        return f"{self.how} {self.unit} on {self.host.name}"


def unit_of(fleet: Fleet, target: Target) -> str:
    """Return the systemd unit of a target.

    Raises:
        UsageError: the database does not run on a host of the fleet.
    """
    units = {
        Target.VIP: "keepalived",
        Target.NGINX: "nginx",
        Target.BACKEND: "obs-backend",
        Target.BROKER: "kafka",
        Target.DATABASE: fleet.database.service,
        Target.CONSUMER: "obsctl-consumer",
        Target.ALERTER: "obsctl-alerter",
    }
    if not units[target]:
        raise UsageError("the inventory names no service of the database, so it cannot be broken on purpose")
    return units[target]


def aim(fleet: Fleet, target: Target, how: How, host: str) -> Aim:
    """Return the place of a drill.

    Args:
        fleet: the inventory.
        target: what is broken.
        how: it is broken.
        host: its name.

    Raises:
        UsageError: no such host, or it does not run the target.
    """
    kind = KINDS[target]
    candidates = [one.name for one in fleet.group(kind.group)]
    found = fleet.host(host)
    if found is None or host not in candidates:
        raise UsageError(
            f"{host or 'no host'} does not run {target}",
            hint=did_you_mean(
                host, candidates, f"hosts that do: {', '.join(candidates) or f'none, the group {kind.group} is empty'}"
            ),
        )
    return Aim(target, how, found, unit_of(fleet, target), fleet.vip.address if fleet.vip else "")


class Bound(NamedTuple):
    """What a fault may cost.

    Attributes:
        outage_s: how long requests may fail, seconds.
        outage_reason: the reason for this limit.
        stall_s: how long no row may be stored (for the alerter: no work done), seconds.
        stall_reason: the reason for this limit.
    """

    outage_s: float
    outage_reason: str
    stall_s: float
    stall_reason: str


def bound(fleet: Fleet, at: Aim, lasts_s: float) -> Bound:
    """Return the limits of a fault; a host that is cut off affects everything that runs on it.

    Args:
        fleet: if no other host can take over, the fault's own time is added.
        at: what is broken.
        lasts_s: how long the fault lasts.
    """
    hit = [kind for kind in KINDS.values() if at.host in fleet.group(kind.group)] if at.how is How.CUT else []
    outages, stalls = [], []
    for kind in hit or [KINDS[at.target]]:
        alone = not kind.spare or len(fleet.group(kind.group)) < 2
        outages.append((kind.outage_s + lasts_s if alone and kind.outage_s else kind.outage_s, kind.reason))
        stalls.append((kind.stall_s + (lasts_s if alone else 0.0), kind.reason))
    return Bound(*max(outages), *max(stalls))


def break_command(at: Aim) -> str:
    """Return the shell command that breaks the target; as root."""
    unit = shlex.quote(at.unit)
    match at.how:
        case How.STOP:
            return f"systemctl stop {unit}"
        case How.KILL:
            return f"systemctl kill -s KILL {unit}"
        case How.FREEZE:
            return f"systemctl kill -s STOP {unit}"
        case How.CUT:
            return _cut(at.host.ssh.port, at.vip)


def restore_command(at: Aim) -> str:
    """Return the shell command that restores the target; it may be run repeatedly; as root."""
    unit = shlex.quote(at.unit)
    start = f"systemctl reset-failed {unit} 2>/dev/null; systemctl start {unit}"
    match at.how:
        case How.STOP | How.KILL:
            return start
        case How.FREEZE:
            # systemd may have killed the frozen process, and does not wait for a frozen one.
            return f"systemctl kill -s CONT {unit}; {start}"
        case How.CUT:
            return _heal()


def _cut(ssh_port: int, vip: str) -> str:
    """Drop everything except loopback and ssh, in a separate table (or chain) that nothing else uses.

    A host without its network link does not announce the virtual address, either; its own address must stay announced,
    for ssh.
    """
    hook, drop = "type filter hook", "priority -300; policy drop;"
    nft = (
        f"nft -f - <<'END'\n"
        f"table inet {_TABLE} {{\n"
        f"  chain in {{ {hook} input {drop} iif lo accept; tcp dport {ssh_port} accept; }}\n"
        f"  chain out {{ {hook} output {drop} oif lo accept; tcp sport {ssh_port} accept; }}\n"
        f"}}\nEND\n"
    )
    if vip and ":" not in vip:
        # keepalived's announcements bypass the other tables, because they use a packet socket. Kernels before 5.16
        # have no such hook.
        nft += (
            "for dev in /sys/class/net/*; do dev=${dev##*/}; [ $dev = lo ] || "
            f'nft "add table netdev {_TABLE}; '
            f"add chain netdev {_TABLE} $dev {{ {hook} egress device $dev priority 0; }}; "
            f'add rule netdev {_TABLE} $dev arp saddr ip {vip} drop" 2>/dev/null || true; done\n'
        )
    chain = _TABLE.upper()
    rules = [
        f"iptables -w -N {chain}",
        f"iptables -w -A {chain} -i lo -j RETURN",
        f"iptables -w -A {chain} -o lo -j RETURN",
        f"iptables -w -A {chain} -p tcp --dport {ssh_port} -j RETURN",
        f"iptables -w -A {chain} -p tcp --sport {ssh_port} -j RETURN",
        f"iptables -w -A {chain} -j DROP",
        f"iptables -w -I INPUT 1 -j {chain}",
        f"iptables -w -I OUTPUT 1 -j {chain}",
    ]
    return f"if command -v nft >/dev/null; then\n{nft}else {' && '.join(rules)}; fi"


def _heal() -> str:
    chain = _TABLE.upper()
    rules = [
        f"iptables -w -D INPUT -j {chain} 2>/dev/null",
        f"iptables -w -D OUTPUT -j {chain} 2>/dev/null",
        f"iptables -w -F {chain} 2>/dev/null",
        f"iptables -w -X {chain} 2>/dev/null",
    ]
    nft = "; ".join(f"nft delete table {family} {_TABLE} 2>/dev/null" for family in ("inet", "netdev"))
    return f"if command -v nft >/dev/null; then {nft}; else {'; '.join(rules)}; fi; true"


def refuse_alone(fleet: Fleet, at: Aim) -> None:
    """Refuse a drill after which this machine could not see whether the target is restored.

    Raises:
        RefusedError: the only balancer would be cut off, and this machine could not see whether it comes back.
    """
    if at.how is How.CUT and at.target is Target.VIP and len(fleet.group("lb")) < 2:
        raise RefusedError(
            f"{at.host.name} is the only balancer, so a cut proves nothing", hint="add a second host to the group lb"
        )
