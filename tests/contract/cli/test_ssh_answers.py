"""What is asked of the OpenSSH client, and what its answers are taken for; a stand-in on PATH plays the client."""

from __future__ import annotations

import json
import time
from pathlib import Path

import msgspec
import pytest

from obsctl.checks.ask import ssh
from obsctl.checks.vip.collect import collect_vip
from obsctl.core.errors import MissingDependencyError
from obsctl.fleet.model import Fleet, Host, KeepalivedNode, Ssh, Vip

HOST = Host(
    name="node1",
    address="198.18.0.11",
    ssh=Ssh(user="root", port=2222, key_file="/keys/id", common_args="-o UserKnownHostsFile='/a b/known'"),
)


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def play(body: str) -> Path:
        program = tmp_path / "bin" / "ssh"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/bash\nprintf '%s\\n' \"$@\" > {tmp_path}/argv\n{body}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin:/usr/sbin:/sbin")
        return tmp_path / "argv"

    return play


def test_the_fleets_settings_reach_the_client_and_nothing_is_asked(client) -> None:
    argv = client("echo fine; exit 3")
    assert ssh.run(HOST, "uname -r", deadline_s=5) == ssh.Answer(status=3, output="fine\n")
    words = argv.read_text().splitlines()
    assert words[:3] == ["-n", "-p", "2222"]
    assert "BatchMode=yes" in words
    assert words[words.index("-i") + 1] == "/keys/id"
    assert words[-3:] == ["UserKnownHostsFile=/a b/known", "198.18.0.11", "uname -r"]


def test_the_clients_own_failure_is_told_in_its_words(client) -> None:
    client("echo 'debris' >&2; echo 'root@198.18.0.11: Permission denied (publickey).' >&2; exit 255")
    assert ssh.run(HOST, "true", deadline_s=5).failure == "root@198.18.0.11: Permission denied (publickey)."


def test_a_hanging_client_and_its_children_are_ended(client) -> None:
    client("sleep 60 & sleep 60; wait")
    started = time.monotonic()
    assert "within 0.5 s" in ssh.run(HOST, "true", deadline_s=0.5).failure
    assert time.monotonic() - started < 5


def test_without_a_client_the_person_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingDependencyError, match="no ssh client"):
        ssh.run(HOST, "true", deadline_s=1)


def _fleet() -> Fleet:
    hosts = tuple(
        Host(name=f"node{n}", address="127.0.0.1", groups=("lb",), keepalived=KeepalivedNode(priority=100 - n))
        for n in (1, 2)
    )
    return Fleet(vip=Vip(address="127.0.0.9", port=1), hosts=hosts)


def test_the_nodes_answer_is_read(client) -> None:
    interfaces = [
        {
            "ifname": "lo",
            "link_type": "loopback",
            "address": "00:00:00:00:00:00",
            "addr_info": [{"local": "127.0.0.1"}],
        },
        {
            "ifname": "host0",
            "link_type": "ether",
            "address": "02:AA:00:00:00:01",
            "addr_info": [{"local": "127.0.0.9"}],
        },
    ]
    client(f"echo '{json.dumps(interfaces)}'; echo '--- keepalived, nginx'; echo active; echo active")
    seen = collect_vip(_fleet())
    node = seen.nodes[0]
    assert (node.failure, node.holds_vip, node.keepalived, node.macs) == ("", True, "active", ("02:aa:00:00:00:01",))
    assert node.nginx_failure == "connection refused"
    assert seen.vip_failure == "connection refused"


@pytest.mark.parametrize(("state", "failure"), [("active", ""), ("failed", "its unit is failed")])
def test_where_nginx_listens_on_the_vip_alone_its_unit_is_asked(client, state: str, failure: str) -> None:
    client(f"""echo '[{{"link_type": "loopback"}}]'; echo '--- keepalived, nginx'; echo active; echo {state}""")
    fleet = _fleet()
    assert fleet.vip is not None
    seen = collect_vip(msgspec.structs.replace(fleet, vip=msgspec.structs.replace(fleet.vip, exclusive=True)))
    assert [(node.keepalived, node.nginx_failure) for node in seen.nodes] == [("active", failure)] * 2


def test_an_answer_that_makes_no_sense_is_no_answer(client) -> None:
    client("echo 'Welcome to node1!'; echo '--- keepalived, nginx'; echo active; echo active")
    assert "cannot be read" in collect_vip(_fleet()).nodes[0].failure
