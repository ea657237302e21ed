"""What ``verify vip`` makes of two real keepalived in network namespaces of their own, well and broken on purpose."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from obsctl.checks.ask import ssh
from obsctl.checks.vip import collect
from obsctl.checks.vip.judge import judge_vip
from obsctl.checks.vip.snapshot import LbNode, VipSnapshot
from obsctl.core.report import Finding
from obsctl.fleet.model import Fleet, Host, KeepalivedNode, Vip
from rig.waiting import wait_for

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0 or shutil.which("keepalived") is None, reason="needs root and keepalived"),
]
VIP = "198.18.98.100"
NAMES = ("a", "b")
_CONFIG = """
global_defs {{ router_id {name} }}
vrrp_instance vip {{
    state BACKUP
    nopreempt
    interface {device}
    virtual_router_id 51
    priority {priority}
    advert_int 1
    unicast_src_ip {own}
    unicast_peer {{ {peer} }}
    virtual_ipaddress {{ {vip}/24 dev {device} }}
}}
"""
#: systemd and its journal, as far as they are asked.
_SYSTEMCTL = """#!/bin/sh
case $1 in
is-active) echo active; echo active ;;
show) case $* in *keepalived) echo "MainPID=$(cat "$FOLDER/pid")" ;; *) echo MainPID=0 ;; esac ;;
esac
"""
_JOURNALCTL = '#!/bin/sh\ntac "$FOLDER/log"\n'


@dataclass
class Node:
    """A keepalived in its namespace."""

    name: str
    space: str
    device: str
    address: str
    folder: Path
    priority: int
    process: subprocess.Popen[bytes] = field(init=False)

    def run(self, *argv: str) -> str:
        """Run a program in the namespace."""
        return subprocess.run(
            ["ip", "netns", "exec", self.space, *argv], capture_output=True, text=True, check=True, timeout=20
        ).stdout

    def start(self, peer: str) -> None:
        """Start keepalived."""
        self.folder.mkdir()
        for program, text in (("systemctl", _SYSTEMCTL), ("journalctl", _JOURNALCTL)):
            (self.folder / program).write_text(text)
            (self.folder / program).chmod(0o755)
        config = self.folder / "keepalived.conf"
        config.write_text(
            _CONFIG.format(
                name=self.name, device=self.device, own=self.address, peer=peer, vip=VIP, priority=self.priority
            )
        )
        pids = ["-p", f"{self.folder}/pid", "-r", f"{self.folder}/vrrp.pid"]
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                ["ip", "netns", "exec", self.space, "keepalived", "-n", "-l", "-D", "-f", str(config), *pids],
                stdout=log, stderr=log,
            )  # fmt: skip

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to keepalived's process for VRRP."""
        os.kill(int((self.folder / "vrrp.pid").read_text()), number)

    def seen(self) -> LbNode:
        """Return what the check reads of this node."""
        path = f"{self.folder}:/usr/sbin:/usr/bin:/sbin:/bin"
        output = self.run("env", f"FOLDER={self.folder}", f"PATH={path}", "sh", "-c", collect._QUESTION)
        sighting = collect._Sighting(ssh=ssh.Answer(output=output), nginx_failure="")
        host = Host(name=self.name, address=self.address, keepalived=KeepalivedNode(priority=self.priority))
        return collect._node(host, sighting, Vip(address=VIP))


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Node, Node]]:
    """Two keepalived that hear each other; the first one holds the address."""
    mark = os.getpid() % 100_000
    nodes = tuple(
        Node(name, f"obs{mark}{name}", f"v{mark}{name}", f"198.18.98.1{n}", tmp_path / name, 110 - 10 * n)
        for n, name in enumerate(NAMES, 1)
    )
    first, second = nodes
    try:
        for node in nodes:
            subprocess.run(["ip", "netns", "add", node.space], check=True)
        subprocess.run(["ip", "link", "add", first.device, "type", "veth", "peer", "name", second.device], check=True)
        for node in nodes:
            subprocess.run(["ip", "link", "set", node.device, "netns", node.space], check=True)
            for words in (f"addr add {node.address}/24 dev {node.device}", f"link set {node.device} up"):
                node.run("ip", *words.split())
        first.start(second.address)
        # With nopreempt the address stays with the first balancer that takes it.
        wait_for("the first one is MASTER", lambda: first.seen().holds_vip, seconds=60)
        second.start(first.address)
        wait_for("the second one is BACKUP", lambda: second.seen().vrrp == "BACKUP", seconds=60)
        yield first, second
    finally:
        for node in nodes:
            if hasattr(node, "process"):
                for number in (signal.SIGCONT, signal.SIGTERM):
                    if (node.folder / "vrrp.pid").exists():
                        node.signal(number)
                node.process.terminate()
                node.process.wait(10)
            subprocess.run(["ip", "netns", "del", node.space], check=False)


def split(pair: tuple[Node, Node]) -> Finding:
    """Wait until both hold the address, and return the finding."""
    wait_for("both hold it", lambda: all(node.seen().holds_vip for node in pair), seconds=60)
    # Packets come once a second: some of them to be left unread.
    time.sleep(3)
    seen = VipSnapshot(vip=VIP, nodes=tuple(node.seen() for node in pair))
    (finding,) = judge_vip(Fleet(), seen)
    assert finding.code == "VIP_SPLIT_BRAIN"
    return finding


def test_a_sound_pair_says_who_is_master(pair: tuple[Node, Node]) -> None:
    first, second = (node.seen() for node in pair)
    assert (first.vrrp, second.vrrp, second.holds_vip) == ("MASTER", "BACKUP", False)
    assert (first.keepalived_hangs, second.keepalived_hangs) == ("", "")
    assert first.vip_on == f"{VIP}/24 dev {pair[0].device}"


def test_a_frozen_one_is_seen_by_its_state_and_by_what_it_leaves_unread(
    pair: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    pair[0].signal(signal.SIGSTOP)
    finding = split(pair)
    assert finding.evidence["hanging"] == ["a"]
    assert finding.evidence["rightful"] == "b"
    monkeypatch.setattr(collect, "_stopped", lambda _states: False)
    assert pair[0].seen().keepalived_hangs == "it does not read what the others send"
    assert pair[1].seen().keepalived_hangs == ""


def test_an_address_by_hand_is_seen_and_removed_by_the_hint(pair: tuple[Node, Node]) -> None:
    pair[1].run("ip", "addr", "add", f"{VIP}/32", "dev", pair[1].device)
    finding = split(pair)
    assert finding.evidence["by_hand"] == ["b"]
    where, _, command = finding.hint.partition(": ")
    assert where == "on b"
    pair[1].run("sh", "-c", command)
    assert not pair[1].seen().holds_vip


def test_two_that_do_not_hear_each_other_are_both_master(pair: tuple[Node, Node]) -> None:
    for node, other in (pair, pair[::-1]):
        # Packets go to a hardware address that no interface has.
        lost = f"neigh replace {other.address} lladdr 02:00:00:00:00:99 nud permanent dev {node.device}"
        node.run("ip", *lost.split())
    finding = split(pair)
    assert finding.evidence["vrrp"] == {"a": "MASTER", "b": "MASTER"}
    assert (finding.evidence["hanging"], finding.evidence["by_hand"]) == ([], [])
    assert finding.evidence["rightful"] == "a", "the higher priority"
    assert "they do not hear each other" in finding.summary
