"""What the nodes' answers are read as, in the words of their own programs, and when one look is not enough."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from obsctl.checks.ask import ssh
from obsctl.checks.ask.web import Web
from obsctl.checks.vip import collect
from obsctl.checks.vip.snapshot import LbNode, VipSnapshot
from obsctl.fleet.model import Fleet, Host, KeepalivedNode, Vip

VIP = "198.18.0.100"
NODE = Host(name="node1", address="198.18.0.11", groups=("lb",), keepalived=KeepalivedNode(priority=100))
#: iproute2 3.10 of EL 7: no JSON, a label behind the scope.
PLAIN = r"""1: lo    inet 127.0.0.1/8 scope host lo\       valid_lft forever preferred_lft forever
2: eth0    inet 198.18.0.11/24 brd 198.18.0.255 scope global eth0\       valid_lft forever preferred_lft forever
2: eth0    inet 198.18.0.100/24 scope global secondary eth0:vip\       valid_lft forever preferred_lft forever
2: eth0    inet6 fe80::4cfd:f0ff:fe10:b/64 scope link \       valid_lft forever preferred_lft forever
3: tun0    inet 10.8.0.1 peer 10.8.0.2/32 scope global tun0\       valid_lft forever preferred_lft forever
1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536\    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00
2: eth0@if7: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 \    link/ether 02:AA:00:00:00:01 brd ff:ff:ff:ff:ff:ff
4: eth1: <BROADCAST,MULTICAST> mtu 1500 \    link/ether 02:aa:00:00:00:02 brd ff:ff:ff:ff:ff:ff
"""
JSON = (
    '[{"ifname":"eth0","link_type":"ether","address":"02:aa:00:00:00:01","addr_info":'
    '[{"family":"inet","local":"198.18.0.100","prefixlen":24},{"family":"inet","local":"198.18.0.100","prefixlen":32}]}]'
)


def read(addresses: str, *rest: str, exclusive: bool = False) -> LbNode:
    sighting = collect._Sighting(ssh=ssh.Answer(output="\n".join([addresses, "--- keepalived, nginx", *rest])))
    sighting.nginx_failure = ""
    return collect._node(NODE, sighting, Vip(address=VIP, exclusive=exclusive))


def test_addresses_are_read_where_ip_has_no_json() -> None:
    node = read(PLAIN, "active", "active")
    assert (node.failure, node.holds_vip, node.vip_on) == ("", True, f"{VIP}/24 dev eth0")
    assert node.macs == ("02:aa:00:00:00:01", "02:aa:00:00:00:02")
    by_name = {interface.name: interface.addresses for interface in collect.read_interfaces(PLAIN)}
    assert by_name["eth0"][0] == ("198.18.0.11", "24")
    assert by_name["tun0"] == [("10.8.0.1", "32")]
    assert by_name["eth1"] == []


def test_an_address_that_only_begins_the_same_is_another() -> None:
    assert not read(PLAIN.replace("198.18.0.100/24", "198.18.0.10/24"), "active", "active").holds_vip


def test_each_place_of_the_address_is_known() -> None:
    node = read(JSON, "active", "active")
    assert (node.vip_on, node.also_on) == (f"{VIP}/24 dev eth0", (f"{VIP}/32 dev eth0",))


def test_the_state_is_keepalives_own_word() -> None:
    facts = ("active", "active", "processes keepalived Ss S", "processes nginx Ss S S")
    assert read(JSON, *facts, "vrrp (vip) Entering MASTER STATE", "unread 00000000 00000000").vrrp == "MASTER"
    assert read(JSON, *facts, "vrrp (vip) Entering BACKUP STATE").vrrp == "BACKUP"
    node = read(JSON, *facts, "vrrp", "unread")
    assert (node.vrrp, node.keepalived_hangs, node.nginx_hangs) == ("", "", False)


@pytest.mark.parametrize(
    ("processes", "unread", "hangs"),
    [
        ("Ts T", "00000000 00000000", "its processes are stopped"),
        ("Ss T", "00000000 00000000", "its processes are stopped"),
        # As /proc/net/raw shows the queue of a process that was stopped for seven seconds.
        ("Ss S", "00000D00 00000D00", "it does not read what the others send"),
        ("Ss S", "00000340 00000000", ""),
        ("Ss S", "00000000 00000340", ""),
        ("Ss S", "", ""),
        ("", "", ""),
    ],
)
def test_a_keepalived_that_does_not_run_on_is_seen(processes: str, unread: str, hangs: str) -> None:
    said = (f"processes keepalived {processes}", "processes nginx Ss S", "vrrp", f"unread {unread}")
    assert read(JSON, "active", "active", *said).keepalived_hangs == hangs
    assert read(JSON, "inactive", "active", *said).keepalived_hangs == "", "a unit that is down does not hang"


def test_a_stopped_nginx_hangs_though_its_unit_is_active() -> None:
    said = ("processes keepalived Ss S", "processes nginx Ts T T")
    assert read(JSON, "active", "active", *said).nginx_hangs
    alone = read(JSON, "active", "active", *said, exclusive=True)
    assert alone.nginx_failure == "its processes are stopped"
    assert not read(JSON, "active", "failed", *said).nginx_hangs


def node(number: int, *, holds: bool = False, **changes: object) -> LbNode:
    base = LbNode(name=f"node{number}", address=f"198.18.0.1{number}", holds_vip=holds, keepalived="active")
    return msgspec.structs.replace(base, **changes)


NOBODY_ANSWERS = "no route to host"
SETTLED = VipSnapshot(vip=VIP, nodes=(node(1), node(2, holds=True)), answered_by="node2")
NONE = VipSnapshot(vip=VIP, nodes=(node(1), node(2)), vip_failure=NOBODY_ANSWERS)
TWO = VipSnapshot(vip=VIP, nodes=(node(1, holds=True), node(2, holds=True)))
ELSEWHERE = VipSnapshot(vip=VIP, nodes=(node(1), node(2, holds=True)), answered_by="node1")


def looked(monkeypatch: pytest.MonkeyPatch, *views: VipSnapshot) -> tuple[VipSnapshot, list[list[str]]]:
    """Return what the check sees when each look shows the next view, and which nodes each look asked."""
    asked: list[list[str]] = []
    waiting = list(views)

    def look(_vip: Vip, _web: Web, nodes: Sequence[Host]) -> VipSnapshot:
        asked.append([node.name for node in nodes])
        view = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        return msgspec.structs.replace(view, nodes=tuple(node for node in view.nodes if node.name in asked[-1]))

    monkeypatch.setattr(collect, "_look", look)
    monkeypatch.setattr(collect, "_AGAIN_AFTER_S", 0.01)
    hosts = tuple(Host(name=f"node{n}", address=f"198.18.0.1{n}", groups=("lb",)) for n in (1, 2))
    return collect.collect_vip(Fleet(vip=Vip(address=VIP), hosts=hosts)), asked


def test_a_settled_state_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, asked = looked(monkeypatch, SETTLED)
    assert (seen, len(asked)) == (SETTLED, 1)


@pytest.mark.parametrize(("before", "holders"), [(NONE, ()), (TWO, ("node1", "node2")), (ELSEWHERE, ("node2",))])
def test_what_is_not_settled_is_looked_at_again(
    before: VipSnapshot, holders: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, asked = looked(monkeypatch, before, SETTLED)
    assert len(asked) == 2
    assert (seen.nodes, seen.first_holders) == (SETTLED.nodes, holders)


def test_a_dead_node_is_not_waited_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    dead = node(1, failure="no answer over ssh within 4 s", nginx_failure="no answer in time")
    before = msgspec.structs.replace(NONE, nodes=(dead, node(2)))
    after = msgspec.structs.replace(SETTLED, nodes=(dead, node(2, holds=True)))
    seen, asked = looked(monkeypatch, before, after)
    assert asked == [["node1", "node2"], ["node2"]]
    assert seen.nodes == (dead, node(2, holds=True))


def test_patience_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "PATIENCE_S", 0.1)
    seen, asked = looked(monkeypatch, NONE)
    assert len(asked) > 1
    assert (seen.first_holders, seen.vip_failure) == ((), NOBODY_ANSWERS)
    assert len(looked(monkeypatch, TWO)[1]) == collect._LOOKS_AT_TWO


@pytest.mark.parametrize("changes", [{"keepalived": "inactive"}, {"keepalived_hangs": "its processes are stopped"}])
def test_without_a_keepalived_that_works_nothing_will_change(
    changes: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    still = msgspec.structs.replace(NONE, nodes=(node(1, **changes), node(2, **changes)))
    assert len(looked(monkeypatch, still)[1]) == 1


def test_who_cannot_be_asked_may_hold_it_and_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    unasked = VipSnapshot(vip=VIP, nodes=(node(1, failure="Permission denied"), node(2)))
    assert len(looked(monkeypatch, unasked)[1]) == 1
