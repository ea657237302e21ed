"""health's own questions against peers that are something else, or never come to an end."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from obsctl.checks.ask import database, ssh
from obsctl.checks.ask.web import Web
from obsctl.checks.health import collect as health
from obsctl.checks.kafka.snapshot import KafkaSnapshot
from obsctl.checks.vip import collect as vip
from obsctl.checks.vip.snapshot import VipSnapshot
from obsctl.fleet.model import BackendNode, Database, Fleet, Host, Vip
from rig.peers import peer
from rig.waiting import HANGS_S


def trickle(line: socket.socket) -> None:
    line.recv(4096)
    line.sendall(b"HTTP/1.1 200 OK\r\nX-A: ")
    while True:
        line.sendall(b"a")
        time.sleep(0.1)


def backend(port: int) -> Host:
    return Host(name="node1", address="127.0.0.1", groups=("backend",), backend=BackendNode(port=port))


def test_a_back_end_that_trickles_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_BACKEND_DEADLINE_S", 0.5)
    started = time.monotonic()
    with peer(trickle) as port:
        assert health._backend(Fleet(), backend(port)).status is None
    assert time.monotonic() - started < HANGS_S


def test_an_nginx_that_trickles_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vip, "HTTP_DEADLINE_S", 0.5)
    sighting = vip._Sighting(ssh.Answer())
    started = time.monotonic()
    with peer(trickle) as port:
        vip._probe("127.0.0.1", Web("http", port, None), "X-Balancer", sighting)
    assert sighting.nginx_failure == "no answer in time"
    assert time.monotonic() - started < HANGS_S


@pytest.mark.parametrize(("header", "balancer"), [("X-Served-By", "node2"), ("X-Balancer", ""), ("", "")])
def test_the_balancer_is_known_by_the_inventorys_header(header: str, balancer: str) -> None:
    def answer(line: socket.socket) -> None:
        line.recv(4096)
        line.sendall(b"HTTP/1.1 200 OK\r\nX-Served-By: node2\r\nContent-Length: 0\r\n\r\n")

    with peer(answer) as port:
        fleet = Fleet(vip=Vip(address="127.0.0.1", port=port, balancer_header=header))
        seen = vip.collect_vip(fleet)
    assert (seen.vip_failure, seen.answered_by) == ("", balancer)


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(database, "_DEADLINE_S", 0.5)
    (tmp_path / "password").write_text("reader-4711")

    def probe(talk: Callable[[socket.socket], None], reference: str = f"file:{tmp_path}/password"):
        with peer(talk) as port:
            return database.probe(Fleet(database=Database(host="127.0.0.1", port=port, reader_password=reference)))

    return probe


def endless_greeting(line: socket.socket) -> None:
    line.sendall(b"\x00\xff\xff\x00")
    while True:
        line.sendall(b"\x0a")
        time.sleep(0.1)


def test_a_database_that_trickles_costs_its_deadline(ask) -> None:
    started = time.monotonic()
    seen = ask(endless_greeting)
    assert (seen.asked, seen.failure) == (True, "no answer within 0.5 s")
    assert time.monotonic() - started < HANGS_S


@pytest.mark.parametrize(
    "greeting",
    [b"\x02\x00\x00\x00\x0a\x00", b"\x05\x00\x00\x00\x0aabcd", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 400 Bad\r\n\r\n"],
)
def test_what_is_no_database_is_a_failure_in_words(ask, greeting: bytes) -> None:
    seen = ask(lambda line: line.sendall(greeting))
    assert seen.asked
    assert seen.failure


@pytest.mark.parametrize("reference", ["", "plain text", "file:/nowhere", "vault:reader"])
def test_a_password_that_cannot_be_read_is_no_fault_of_the_database(ask, reference: str) -> None:
    seen = ask(lambda line: line.close(), reference)
    assert not seen.asked
    assert seen.failure


def fleet(**parts: object) -> Fleet:
    host = Host(name="node1", address="127.0.0.1", groups=("lb", "backend", "kafka", "consumer"))
    return Fleet(hosts=(host,), vip=Vip(address="127.0.0.1", port=1), **parts)  # type: ignore[arg-type]


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every layer answers at once, well or not."""
    monkeypatch.setattr(health, "collect_vip", lambda _fleet: VipSnapshot(vip="127.0.0.1"))
    monkeypatch.setattr(health, "collect_cluster", lambda _fleet: KafkaSnapshot())
    monkeypatch.setattr(ssh, "run", lambda *_args, **_options: ssh.Answer(failure="no route"))


@pytest.mark.parametrize(("name", "layer"), [("collect_vip", "vip"), ("collect_cluster", "kafka")])
@pytest.mark.usefixtures("no_network")
def test_a_part_that_breaks_off_is_its_own_row(name: str, layer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_fleet: Fleet) -> None:
        raise struct.error("unpack requires a buffer of 4 bytes")

    monkeypatch.setattr(health, name, broken)
    seen = health.collect_health(fleet())
    assert [(fault.code, fault.object) for fault in seen.errors] == [("HEALTH_LAYER_NOT_ASKED", f"layer/{layer}")]
    assert "unpack requires" in seen.errors[0].summary
    assert (seen.vip is None, seen.kafka is None) == (layer == "vip", layer == "kafka")


@pytest.mark.usefixtures("no_network")
def test_a_host_that_cannot_be_asked_is_its_own_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: object, **_options: object) -> ssh.Answer:
        raise ValueError("No closing quotation")

    monkeypatch.setattr(ssh, "run", broken)
    (probe,) = health.collect_health(fleet()).hosts
    assert probe.failure == "the check failed: No closing quotation"


@pytest.mark.parametrize("page", ["[1]", '{"a":NaN}', '{"a":' * 5000, '{"a":"\ud800"}', '"x"', ""])
def test_a_page_that_is_none_is_no_page(page: str) -> None:
    seen = health.read_host("app1", f"page consumer {page}")
    assert seen.consumer is None
    assert seen.no_page["consumer"].startswith("is unreadable (" if page else "does not answer")
