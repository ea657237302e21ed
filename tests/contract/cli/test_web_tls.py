"""The balancers' probes over TLS, against local servers with good and with bad certificates."""

from __future__ import annotations

import datetime
import http.server
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from obsctl.checks.ask import ssh
from obsctl.checks.ask.http import SpeaksTlsError, get
from obsctl.checks.ask.tls import Tls
from obsctl.checks.ask.web import web
from obsctl.checks.balance import collect as balance_collect
from obsctl.checks.balance.collect import collect_balancer
from obsctl.checks.balance.judge import judge_balancer
from obsctl.checks.health import collect as health
from obsctl.checks.logs import follow as following
from obsctl.checks.vip import collect as vip_collect
from obsctl.checks.vip.judge import judge_vip
from obsctl.checks.wire.send import NotATestError, send
from obsctl.core.errors import ConfigError
from obsctl.core.report import Severity
from obsctl.core.rule_test import Request
from obsctl.core.secrets import Secret
from obsctl.drill.traffic import request
from obsctl.fleet.model import BackendNode, Fleet, Host, Https, Vip
from rig.authority import Authority
from rig.peers import peer

_HOUR = datetime.timedelta(hours=1)


class _Nginx(http.server.BaseHTTPRequestHandler):
    """Answers as a balancer does, and remembers what it was asked."""

    protocol_version = "HTTP/1.1"
    asked: list[tuple[str, str]]

    def do_GET(self) -> None:
        """Answer; the connection stays."""
        self.asked.append((self.path, self.headers.get("Host", "")))
        self.send_response(200)
        self.send_header("X-Balancer", "node1")
        self.send_header("X-Backend-Server", "node1")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET  # noqa: N815  the base class's name

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def server(context: ssl.SSLContext | None) -> Iterator[tuple[int, list[tuple[str, str]]]]:
    """Run a balancer on loopback, with TLS or without; yield its port and the requests that it gets."""
    asked: list[tuple[str, str]] = []
    handler = type("Handler", (_Nginx,), {"asked": asked})

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def finish_request(self, line: socket.socket, address: object) -> None:  # type: ignore[override]
            if context is not None:
                try:
                    line = context.wrap_socket(line, server_side=True)
                except OSError:
                    return
            super().finish_request(line, address)  # type: ignore[arg-type]

    with Server(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield running.server_address[1], asked
        running.shutdown()


def served(path: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


def fleet_of(port: int, https: Https | None, **changes: object) -> Fleet:
    values: dict[str, object] = {"address": "127.0.0.1", "port": port, "https": https} | changes
    host = Host(name="node1", address="127.0.0.1", groups=("lb", "backend"), backend=BackendNode(port=port))
    return Fleet(vip=Vip(**values), hosts=(host,), inventory="inventories/lab")  # type: ignore[arg-type]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ca")


@pytest.fixture(autouse=True)
def no_ssh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "run", lambda *_args, **_options: ssh.Answer(failure="no route"))
    monkeypatch.setattr(vip_collect, "PATIENCE_S", 0.0)


def test_every_probe_speaks_https_where_the_fleet_does(authority: Authority) -> None:
    with server(served(authority.issue("nginx"))) as (port, asked):
        fleet = fleet_of(1, Https(port=port, ca_file=str(authority.ca_file)))
        seen = vip_collect.collect_vip(fleet)
        assert (seen.vip_failure, seen.refusal, seen.answered_by, seen.port) == ("", None, "node1", port)
        assert [(node.nginx_failure, node.refusal) for node in seen.nodes] == [("", None)]
        for keepalive in (False, True):
            balance = collect_balancer(fleet, requests=60, keepalive=keepalive)
            assert (balance.scheme, balance.target) == ("https", f"127.0.0.1:{port}")
            assert (balance.answered, balance.failures) == (balance.sent, {})
        assert fleet.vip is not None
        assert request(fleet.vip, web(fleet.vip), "/?drill", 0.0).status == 200
        (target,) = following.targets(fleet)
        assert target.web.get(target.address, "/line", deadline_s=2).status == 200
        with pytest.raises(NotATestError):
            send("127.0.0.1", web(fleet.vip), Request(uri="/signed"), "mark", Secret("key", "file:/x"))
    assert {path for path, _ in asked} == {vip_collect.HEALTH_PATH, "/", "/?drill", "/line", "/signed"}


def test_the_usual_port_is_not_named_in_the_host_header(authority: Authority) -> None:
    """Nginx's $host and redirects would show it."""
    from obsctl.checks.ask.http import prepared

    tls = Tls(Https(ca_file=str(authority.ca_file)))
    assert (prepared("127.0.0.1", 443, tls).default_port, prepared("127.0.0.1", 80, None).default_port) == (443, 80)


_CASES = {
    "expired": ({"valid": (-2 * _HOUR, -_HOUR)}, "its certificate has expired"),
    "early": ({"valid": (_HOUR, 2 * _HOUR)}, "its certificate is not valid yet"),
    "name": ({"names": ("192.0.2.1", "www.example.com")}, "its certificate does not name 127.0.0.1"),
}


@pytest.mark.parametrize("kind", [*_CASES, "authority", "clear"])
def test_a_balancer_that_must_not_be_trusted_is_named_with_the_reason(
    authority: Authority, tmp_path: Path, kind: str
) -> None:
    trusted = authority.ca_file
    context: ssl.SSLContext | None
    if kind == "clear":
        context, words = None, "speaks HTTP, not TLS"
    elif kind == "authority":
        context = served(Authority(tmp_path / "other").issue("nginx"))
        words = f"its certificate is not signed by a CA of {trusted}"
    else:
        options, words = _CASES[kind]
        context = served(authority.issue("nginx", **options))  # type: ignore[arg-type]
    code = "VIP_WRONG_PROTOCOL" if kind == "clear" else "VIP_CERTIFICATE_REFUSED"
    with server(context) as (port, asked):
        fleet = fleet_of(1, Https(port=port, ca_file=str(trusted)))
        seen = vip_collect.collect_vip(fleet)
        balance = collect_balancer(fleet, requests=60)
        assert fleet.vip is not None
        drilled = request(fleet.vip, web(fleet.vip), "/", 0.0)
    assert {path for path, _ in asked} <= {vip_collect.HEALTH_PATH}, "a request was sent to who is not trusted"
    assert (seen.vip_failure, seen.nodes[0].nginx_failure) == ("", ""), "it answers"
    found = {finding.object: finding for finding in judge_vip(fleet, seen) if finding.code == code}
    assert found.keys() == {"vip/127.0.0.1", "host/node1"}
    assert found["vip/127.0.0.1"].severity is Severity.CRITICAL
    said = f"port {port} {words}" if kind == "clear" else f"on port {port} {words}"
    assert found["vip/127.0.0.1"].summary == said
    assert found["vip/127.0.0.1"].evidence["kind"] == kind
    (lost,) = judge_balancer(fleet, balance)
    assert (lost.code, lost.object, lost.summary) == (code, "vip/127.0.0.1", said)
    assert balance.sent == 2, "it stops as where nothing answers"
    assert (drilled.status, drilled.error) == (0, words)


def test_back_ends_are_asked_over_tls_where_they_have_it(authority: Authority, tmp_path: Path) -> None:
    with server(served(authority.issue("nginx"))) as (port, asked):
        fleet = fleet_of(1, Https(port=port, backend_ca_file=str(authority.ca_file)))
        host = msgspec.structs.replace(fleet.hosts[0], backend=BackendNode(port=port))
        answer = health._backend(fleet, host)
        assert (answer.status, answer.failure) == (200, "")
        assert balance_collect._healthz(fleet, host) == ""
        assert [path for path, _ in asked] == ["/healthz", "/healthz"]
        untrusted = Authority(tmp_path / "other").ca_file
        fleet = fleet_of(1, Https(port=port, backend_ca_file=str(untrusted)))
        words = f"its certificate is not signed by a CA of {untrusted}"
        assert (health._backend(fleet, host).failure, balance_collect._healthz(fleet, host)) == (words, words)
        absent = fleet_of(1, Https(port=port, backend_ca_file=str(tmp_path / "absent.pem")))
        assert "absent.pem: no such file" in health._backend(absent, host).failure


def test_a_back_end_with_tls_that_is_asked_without_is_named_so(authority: Authority) -> None:
    with peer(_alert) as port:
        fleet = fleet_of(port, None)
        assert health._backend(fleet, fleet.hosts[0]).failure == "speaks TLS, not HTTP"


def test_a_name_of_ones_own_is_what_the_certificate_must_have(authority: Authority) -> None:
    with server(served(authority.issue("nginx", ("www.example.com",)))) as (port, _):
        good = fleet_of(1, Https(port=port, ca_file=str(authority.ca_file), server_name="www.example.com"))
        assert vip_collect.collect_vip(good).refusal is None
        other = fleet_of(1, Https(port=port, ca_file=str(authority.ca_file), server_name="shop.example.com"))
        refusal = vip_collect.collect_vip(other).refusal
        assert refusal is not None
        assert refusal.words == "its certificate does not name shop.example.com"


def test_the_holders_refusal_is_said_once(authority: Authority) -> None:
    with server(served(authority.issue("nginx", ("192.0.2.1",)))) as (port, _):
        fleet = fleet_of(1, Https(port=port, ca_file=str(authority.ca_file)))
        seen = vip_collect.collect_vip(fleet)
    node = msgspec.structs.replace(seen.nodes[0], failure="", holds_vip=True, keepalived="active", vrrp="MASTER")
    (finding,) = judge_vip(fleet, msgspec.structs.replace(seen, nodes=(node,)))
    assert (finding.code, finding.object, finding.severity) == (
        "VIP_CERTIFICATE_REFUSED", "host/node1", Severity.CRITICAL,
    )  # fmt: skip


def _nginxs_words(line: socket.socket) -> None:
    line.recv(4096)
    body = b"<html><head><title>400 The plain HTTP request was sent to HTTPS port</title></head></html>"
    line.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


def _alert(line: socket.socket) -> None:
    line.recv(4096)
    line.sendall(b"\x15\x03\x03\x00\x02\x02\x0a")


@pytest.mark.parametrize("talk", [_nginxs_words, _alert])
def test_a_port_of_tls_that_is_asked_in_clear_is_named_as_one(talk: object) -> None:
    with peer(talk) as port:  # type: ignore[arg-type]
        with pytest.raises(SpeaksTlsError):
            get("127.0.0.1", port, "/", deadline_s=2)
        fleet = fleet_of(port, None)
        seen = vip_collect.collect_vip(fleet)
    found = [finding for finding in judge_vip(fleet, seen) if finding.code == "VIP_WRONG_PROTOCOL"]
    assert [finding.summary for finding in found] == [f"port {port} speaks TLS, not HTTP"] * 2


def test_any_other_400_is_an_answer() -> None:
    def answer(line: socket.socket) -> None:
        line.recv(4096)
        line.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nno\n")

    with peer(answer) as port:
        assert get("127.0.0.1", port, "/", deadline_s=2).status == 400


def test_what_is_neither_http_nor_tls_is_named_so(authority: Authority) -> None:
    with peer(lambda line: line.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")) as port:
        seen = vip_collect.collect_vip(fleet_of(1, Https(port=port, ca_file=str(authority.ca_file))))
    assert seen.refusal is not None
    assert (seen.refusal.kind, seen.refusal.words) == ("clear", "does not speak TLS")


def test_a_peer_that_closes_in_the_handshake_does_not_answer(authority: Authority) -> None:
    with peer(lambda line: line.close()) as port:
        seen = vip_collect.collect_vip(fleet_of(1, Https(port=port, ca_file=str(authority.ca_file))))
    assert seen.refusal is None
    assert seen.vip_failure in {"broke off the tls handshake", "connection reset by peer"}


@pytest.mark.parametrize(
    ("vip", "scheme", "words"),
    [
        (Vip(address="192.0.2.1"), "https", "no TLS in this fleet"),
        (Vip(address="192.0.2.1", https=Https(http="close")), "http", "listens with TLS only"),
        (Vip(address="192.0.2.1", https=Https(http="redirect")), "http", "only redirects"),
    ],
)
def test_a_way_that_nginx_has_not_is_refused(vip: Vip, scheme: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        web(vip, scheme)  # type: ignore[arg-type]


def test_the_way_follows_the_inventory_and_the_person() -> None:
    both = Vip(address="192.0.2.1", port=8080, https=Https(port=8443))
    assert (web(both).scheme, web(both).port) == ("https", 8443)
    assert (web(both, "http").scheme, web(both, "http").port) == ("http", 8080)
    assert web(Vip(address="192.0.2.1")).scheme == "http"
    redirecting = Vip(address="192.0.2.1", port=8080, https=Https(port=8443, http="redirect"))
    assert web(redirecting, "http", to_back_ends=False).port == 8080, "nginx's own health is answered there"


@pytest.mark.parametrize("content", [None, "no certificate\n"])
def test_trusted_certificates_that_cannot_be_read_are_an_error_with_the_file(
    tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=str(path)):
        web(Vip(address="192.0.2.1", https=Https(ca_file=str(path))))
