"""How channels post: proxies, certificates, one deadline over all of it, bounded answers, and no secret in any word."""

from __future__ import annotations

import logging
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from obsctl.alerter.channels import http_transport
from obsctl.alerter.channels.outcome import Delivery, Verdict
from obsctl.alerter.channels.registry import parse_channels
from obsctl.alerter.messages.message import channel_test
from obsctl.alerter.messages.templates import Templates
from obsctl.core.errors import ConfigError
from obsctl.core.secrets import Secret
from rig.peers import peer
from rig.vendor import Vendor
from rig.waiting import HANGS_S
from tests.contract.alerter.network import Authority, Proxy, answering, proxying, request_of

TOKEN = "tok-9d3f5511aa"
PROXY_LOGIN = "ops:prox-77aa1c"


@pytest.fixture(autouse=True)
def _no_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with proxying() as running:
        yield running


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ca")


def send(url: str, **options: object) -> Delivery:
    """Send through a DingTalk channel, which puts its token into the URL."""
    entry = {"name": "ops", "type": "dingtalk", "url": url, "token": "env:TOKEN", **options}
    (channel,) = parse_channels([entry], "test")
    delivery = channel.open(lambda reference: Secret(TOKEN, reference)).send(
        channel_test(time.time(), "app1", Templates())
    )
    assert TOKEN not in repr(delivery)
    assert "prox-77aa1c" not in repr(delivery)
    return delivery


def drip(line: socket.socket) -> None:
    """Send a byte now and then, for ever."""
    while True:
        line.sendall(b"2")
        time.sleep(0.05)


# -- certificates ------------------------------------------------------------------------------------------------


def test_an_authority_of_ones_own_is_trusted_by_name_only(authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other")
    with authority.serving(answering()) as port:
        url = f"https://127.0.0.1:{port}/robot/send"
        assert send(url, ca_file=str(authority.ca_file)).delivered
        for trusted in ({}, {"ca_file": str(other.ca_file)}):
            delivery = send(url, **trusted)
            assert (delivery.verdict, delivery.code) == (Verdict.UNREACHABLE, "")
            assert "no trusted TLS connection" in delivery.summary
            assert "ca_file" in delivery.hint


def test_a_certificate_for_another_name_is_not_trusted(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca", "robot.example")
    with authority.serving(answering()) as port:
        delivery = send(f"https://127.0.0.1:{port}/", ca_file=str(authority.ca_file))
    assert (delivery.verdict, "no trusted TLS" in delivery.summary) == (Verdict.UNREACHABLE, True)


def test_the_environment_names_this_machines_authorities(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The system's certificates count, as OpenSSL finds them, and no list that a Python package brings along."""
    with authority.serving(answering()) as port:
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca_file))
        assert send(f"https://127.0.0.1:{port}/").delivered
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "absent"))
        assert send(f"https://127.0.0.1:{port}/").delivered


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_ca_file_that_is_none_is_a_mistake_of_the_configuration(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=r"channel ops: the ca_file .*ca\.pem cannot be used"):
        send("https://127.0.0.1:9/", ca_file=str(path))


# -- proxies -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_option", [True, False])
def test_https_goes_through_the_proxy_and_stays_closed_to_it(
    authority: Authority, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, by_option: bool
) -> None:
    options: dict[str, object] = {"ca_file": str(authority.ca_file)}
    if by_option:
        options["proxy"] = proxy.url
    else:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.removeprefix("http://"))
    with authority.serving(answering()) as port:
        assert send(f"https://127.0.0.1:{port}/robot/send", **options).delivered
    (head,) = proxy.heads
    assert head.startswith(f"CONNECT 127.0.0.1:{port} HTTP/1.".encode())
    assert TOKEN.encode() not in head


def test_http_goes_through_the_proxy_in_absolute_form(vendor: Vendor, proxy: Proxy) -> None:
    assert send(vendor.url + "/robot/send", proxy=proxy.url).delivered
    assert proxy.heads[0].startswith(f"POST {vendor.url}/robot/send?access_token=".encode())
    assert vendor.received[0].path == f"/robot/send?access_token={TOKEN}"


@pytest.mark.parametrize("talk", [answering(), drip])
def test_a_proxy_that_is_asked_below_tls(authority: Authority, talk: Callable[[socket.socket], None]) -> None:
    """Two handshakes, one within the other, and one deadline over both."""
    started = time.monotonic()
    with proxying(authority) as proxy, authority.serving(talk) as port:
        delivery = send(f"https://127.0.0.1:{port}/", proxy=proxy.url, ca_file=str(authority.ca_file))
    assert delivery.verdict is (Verdict.UNKNOWN if talk is drip else Verdict.DELIVERED)
    assert proxy.heads[0].startswith(b"CONNECT ")
    assert time.monotonic() - started < HANGS_S


def test_no_proxy_is_respected_and_the_option_wins(
    vendor: Vendor, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    assert send(vendor.url).delivered
    assert len(proxy.heads) == 1
    monkeypatch.setenv("NO_PROXY", "127.0.0.0/8")
    assert send(vendor.url).delivered
    assert len(proxy.heads) == 1
    assert send(vendor.url, proxy=proxy.url).delivered
    assert len(proxy.heads) == 2


def test_a_proxys_login_comes_from_the_environment_alone(
    authority: Authority, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("//", f"//{PROXY_LOGIN}@"))
    with authority.serving(answering()) as port:
        assert send(f"https://127.0.0.1:{port}/", ca_file=str(authority.ca_file)).delivered
    assert b"Proxy-Authorization: Basic " in proxy.heads[0]
    with pytest.raises(ConfigError, match="the proxy URL contains a login") as refused:
        send("https://127.0.0.1:9/", proxy=f"http://{PROXY_LOGIN}@127.0.0.1:3128")
    assert "prox-77aa1c" not in f"{refused.value} {refused.value.hint}"


@pytest.mark.parametrize("proxied", ["socks5://127.0.0.1:9", "127.0.0.1:9/x y", "ftp://127.0.0.1:9", "http://"])
def test_what_is_no_http_proxy_is_a_mistake_of_the_configuration(proxied: str) -> None:
    with pytest.raises(ConfigError, match="channel ops: the proxy"):
        send("https://127.0.0.1:9/", proxy=proxied)


def test_a_socks_proxy_of_the_environment_is_named(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", f"socks5h://{PROXY_LOGIN}@127.0.0.1:9")
    delivery = send(vendor.url)
    assert (delivery.verdict, vendor.received) == (Verdict.UNREACHABLE, [])
    assert "NO_PROXY" in delivery.hint


@pytest.mark.parametrize("status", ["407 Proxy Authentication Required", "403 Forbidden", "502 Bad Gateway"])
def test_a_proxy_that_refuses_is_named_and_the_message_has_not_arrived(proxy: Proxy, status: str) -> None:
    proxy.refuses = status
    delivery = send("https://robot.invalid/robot/send", proxy=proxy.url)
    assert (delivery.verdict, delivery.code) == (Verdict.UNREACHABLE, "")
    assert delivery.summary == (
        f"https://robot.invalid cannot be reached through the proxy {proxy.url}: it refuses to connect "
        f"(HTTP {status[:3]})"
    )


def test_a_login_that_a_proxy_wants_before_a_plain_request_is_a_refusal(vendor: Vendor, proxy: Proxy) -> None:
    proxy.refuses = "407 Proxy Authentication Required"
    delivery = send(vendor.url, proxy=proxy.url)
    assert (delivery.verdict, delivery.code, vendor.received) == (Verdict.REFUSED, "407", [])


def test_a_proxy_that_is_away_is_named(closed_port: int) -> None:
    delivery = send("https://robot.invalid/", proxy=f"http://127.0.0.1:{closed_port}")
    assert delivery.verdict is Verdict.UNREACHABLE
    assert f"through the proxy http://127.0.0.1:{closed_port}: the connection was refused" in delivery.summary


def test_a_proxys_name_that_does_not_resolve_is_said_so() -> None:
    delivery = send("https://robot.invalid/", proxy="http://proxy.invalid:3128")
    assert "through the proxy http://proxy.invalid:3128: its name does not resolve" in delivery.summary


# -- the deadline ------------------------------------------------------------------------------------------------


def silent(line: socket.socket) -> None:
    time.sleep(5)
    line.close()


def connected_then(talk: Callable[[socket.socket], None]) -> Callable[[socket.socket], None]:
    """A proxy that lets one through, and is then the far end itself."""

    def serve(line: socket.socket) -> None:
        request_of(line)
        line.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        talk(line)

    return serve


def slow_head(line: socket.socket) -> None:
    line.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    drip(line)


@pytest.mark.parametrize("talk", [silent, slow_head, connected_then(silent), connected_then(drip)])
def test_a_proxy_that_does_not_come_to_an_end_is_cut(talk: Callable[[socket.socket], None]) -> None:
    started = time.monotonic()
    with peer(talk) as port:
        delivery = send("https://robot.invalid/", proxy=f"http://127.0.0.1:{port}")
    assert time.monotonic() - started < HANGS_S
    assert delivery.verdict is Verdict.UNREACHABLE
    assert delivery.hint


def tls_record_by_bytes(line: socket.socket) -> None:
    """Begin a handshake record of 16 KiB, and send it byte by byte."""
    line.sendall(b"\x16\x03\x03\x40\x00")
    drip(line)


@pytest.mark.parametrize("talk", [silent, tls_record_by_bytes])
def test_a_handshake_that_does_not_end_is_cut(talk: Callable[[socket.socket], None]) -> None:
    with peer(talk) as port:
        delivery = send(f"https://127.0.0.1:{port}/")
    assert (delivery.verdict, "no TLS connection within" in delivery.summary) == (Verdict.UNREACHABLE, True)


@pytest.mark.parametrize("through_proxy", [False, True])
def test_a_peer_that_hangs_up_before_the_request_has_not_taken_the_message(through_proxy: bool) -> None:
    with peer(lambda line: line.recv(1)) as port:
        url, options = (
            ("https://robot.invalid/", {"proxy": f"http://127.0.0.1:{port}"})
            if through_proxy
            else (f"https://127.0.0.1:{port}/", {})
        )
        delivery = send(url, **options)
    assert delivery.verdict is Verdict.UNREACHABLE
    assert ("was closed before" in delivery.summary) or ("no trusted TLS" in delivery.summary)


def endless_answer(line: socket.socket) -> None:
    request_of(line)
    line.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    drip(line)


def endless_hints(line: socket.socket) -> None:
    """Send interim answers for ever, whole ones."""
    request_of(line)
    while True:
        line.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        time.sleep(0.05)


@pytest.mark.parametrize("talk", [endless_answer, endless_hints])
@pytest.mark.parametrize("tls", [False, True])
def test_an_answer_that_does_not_end_is_cut_and_may_be_a_delivery(
    talk: Callable[[socket.socket], None], tls: bool, authority: Authority
) -> None:
    with authority.serving(talk) if tls else peer(talk) as port:
        url = f"http{'s' if tls else ''}://127.0.0.1:{port}/"
        delivery = send(url, **({"ca_file": str(authority.ca_file)} if tls else {}))
    assert (delivery.verdict, delivery.code) == (Verdict.UNKNOWN, "")
    assert "may or may not have arrived" in delivery.summary


def test_a_resolver_that_does_not_answer_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answered.wait(2 * HANGS_S))
    started = time.monotonic()
    delivery = send("https://robot.example/")
    assert time.monotonic() - started < HANGS_S
    answered.set()
    assert delivery.verdict is Verdict.UNREACHABLE


# -- answers -----------------------------------------------------------------------------------------------------


def test_a_huge_answer_is_read_no_further_than_its_bound() -> None:
    taken = []

    def talk(line: socket.socket) -> None:
        request_of(line)
        line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")
        try:
            while True:
                taken.append(line.send(b" " * 65536))
        except OSError:
            return

    with peer(talk) as port:
        delivery = send(f"http://127.0.0.1:{port}/")
        assert delivery.verdict is Verdict.REFUSED
        time.sleep(0.2)
    assert sum(taken) < 20 * 1024 * 1024  # what fits into the sockets


def test_a_compressed_answer_is_not_unpacked(vendor: Vendor) -> None:
    """None was asked for; unpacked, a few bytes could be gigabytes."""
    vendor.headers = {"Content-Encoding": "gzip"}
    vendor.body = b"\x1f\x8b\x08\x00"
    assert send(vendor.url).verdict is Verdict.REFUSED
    assert vendor.received[0].headers["Accept-Encoding"] == "identity"


def reset(line: socket.socket) -> None:
    request_of(line)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def half_a_status_line(line: socket.socket) -> None:
    request_of(line)
    line.sendall(b"HTTP/1.1 2")


def nonsense(line: socket.socket) -> None:
    request_of(line)
    line.sendall(b"\x00\x01\x02 no HTTP\r\n\r\n")


@pytest.mark.parametrize("talk", [reset, half_a_status_line, nonsense, request_of])
@pytest.mark.parametrize("through_proxy", [False, True])
def test_a_connection_that_breaks_after_the_request_may_be_a_delivery(
    talk: Callable[[socket.socket], None], through_proxy: bool, proxy: Proxy
) -> None:
    with peer(talk) as port:
        delivery = send(f"http://127.0.0.1:{port}/", **({"proxy": proxy.url} if through_proxy else {}))
    assert (delivery.verdict, delivery.code) == (Verdict.UNKNOWN, "")
    assert "may or may not have arrived" in delivery.summary


def test_a_redirect_with_an_endless_body_is_a_redirect_at_once() -> None:
    def talk(line: socket.socket) -> None:
        request_of(line)
        line.sendall(
            b"HTTP/1.1 302 Found\r\nLocation: https://login.example/x?t=1\r\nContent-Length: 900000000\r\n\r\n"
        )
        line.sendall(b" " * 200_000)
        drip(line)

    with peer(talk) as port:
        delivery = send(f"http://127.0.0.1:{port}/")
    assert (delivery.verdict, delivery.code) == (Verdict.REDIRECTED, "302")
    assert "to https://login.example, which" in delivery.summary


def test_neither_cookies_nor_logins_of_this_user_are_sent(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password n3trc\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    vendor.headers = {"Set-Cookie": "a=b"}
    for _ in range(2):
        assert send(vendor.url.replace("//", "//someone:else@")).delivered
    for request in vendor.received:
        assert request.headers.keys().isdisjoint({"Authorization", "Cookie"})


def test_the_libraries_log_no_target(
    vendor: Vendor, proxy: Proxy, closed_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    """urllib3 logs each request's target, and warns with it about bad headers: the token stands in it."""
    caplog.set_level(logging.DEBUG)
    send(vendor.url)
    send(vendor.url, proxy=proxy.url)
    send(f"http://127.0.0.1:{closed_port}/")

    def bad_headers(line: socket.socket) -> None:
        request_of(line)
        line.sendall(b"HTTP/1.1 200 OK\r\nno header\r\nContent-Length: 13\r\n\r\n" + b'{"errcode":0}')

    with peer(bad_headers) as port:
        send(f"http://127.0.0.1:{port}/")
    assert TOKEN not in caplog.text
    # The filter is for this thread's posts alone.
    logging.getLogger("urllib3.connectionpool").warning("of another request")
    assert "of another request" in caplog.text
    assert http_transport._TRIP.get(None) is None
