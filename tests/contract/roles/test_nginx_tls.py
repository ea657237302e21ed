"""The balancer with TLS: a real nginx with the rendered configuration, asked by real clients."""

from __future__ import annotations

import http.client
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from obsctl.checks.ask import ssh
from obsctl.checks.ask.web import web
from obsctl.checks.balance.collect import collect_balancer
from obsctl.checks.wire.send import key_of, send
from obsctl.core.rule_test import Request
from obsctl.core.secrets import resolve
from obsctl.fleet.model import Fleet, Https, Vip
from obsctl.lines.formats import nginx_json
from obsctl.lines.formats.line import PROBE, AccessLine, MarkedLine
from rig.authority import Authority
from rig.ports import free_port
from rig.waiting import wait_for
from tests.contract.roles.conftest import TLS_CASES, Rendered
from tests.contract.roles.test_nginx import NGINX, BackEnds, running

pytestmark = pytest.mark.skipif(
    NGINX is None or not Path("/etc/nginx/mime.types").exists(), reason="nginx is not installed"
)
HEALTH = "/obscraft-health"


class Balancer(NamedTuple):
    """A running nginx with three back ends.

    Attributes:
        folder: of its logs and certificates.
        port: without TLS.
        tls_port: with TLS.
        config: its file.
        authority: which issued its certificate, for 127.0.0.1.
        pid: of its first process.
    """

    folder: Path
    port: int
    tls_port: int
    config: Path
    authority: Authority
    pid: int

    def context(self) -> ssl.SSLContext:
        """A client's, which trusts the authority alone."""
        return ssl.create_default_context(cafile=str(self.authority.ca_file))

    def get(self, path: str, *, tls: bool = True, context: ssl.SSLContext | None = None) -> http.client.HTTPResponse:
        """Return an answer, read to its end."""
        connection: http.client.HTTPConnection
        if tls:
            own = context or self.context()
            connection = http.client.HTTPSConnection("127.0.0.1", self.tls_port, context=own, timeout=5)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer

    def lines(self, count: int) -> list[AccessLine]:
        """Return the lines of the access log, as the consumer reads them."""
        for _ in range(100):
            written = (self.folder / "access.log").read_text().splitlines()
            if len(written) >= count:
                break
            time.sleep(0.05)
        assert len(written) == count, written
        found = [nginx_json.parse(line) for line in written]
        return [line for line in found if isinstance(line, AccessLine)]


def give_certificate(
    authority: Authority, folder: Path, names: tuple[str, ...] = ("127.0.0.1",), responder: str = ""
) -> None:
    """Put key and chain where the role certificates puts them."""
    folder.mkdir(parents=True, exist_ok=True)
    issued = authority.issue(folder.name, names, responder=responder).read_text()
    key, _, chain = issued.partition("-----END PRIVATE KEY-----\n")
    (folder / "key.pem").write_text(f"{key}-----END PRIVATE KEY-----\n")
    (folder / "cert.pem").write_text(chain)
    shutil.copy(authority.ca_file, folder.parent / "ca.pem")


@contextmanager
def balancer(
    rendered: Rendered,
    tmp_path: Path,
    case: str,
    authority: Authority | None = None,
    responder: str = "",
    **backends_tls: ssl.SSLContext,
) -> Iterator[Balancer]:
    """Run nginx as a case of TLS_CASES; the authority's certificate for it names the OCSP responder."""
    authority = authority or Authority(tmp_path / "ca")
    give_certificate(authority, tmp_path / "tls/nginx", responder=responder)
    port, tls_port, check_port = free_port(), free_port(), free_port()
    text = rendered.text(f"nginx-tls-{case}.conf").replace(str(rendered.folder), str(tmp_path))
    text = text.replace(f":{rendered.port} ", f":{port} ").replace(f":{rendered.check_port}", f":{check_port}")
    text = text.replace(f":{rendered.tls_port}", f":{tls_port}").replace("/srv/acme/", f"{tmp_path}/tls/nginx/")
    back_ends = BackEnds(**backends_tls)
    for number, own in enumerate(back_ends.ports, start=1):
        text = text.replace(f"192.0.2.1{number}:8080", f"127.0.0.1:{own}")
    (tmp_path / "obscraft-test.conf").write_text(rendered.text("obscraft-test.conf"))
    config = tmp_path / "nginx.conf"
    config.write_text(re.sub(r"^user .*$", "user root;", text, flags=re.M))
    with ExitStack() as stack:
        stack.callback(back_ends.stop_all)
        stack.enter_context(running(config, tls_port))
        pid = int((tmp_path / "nginx.pid").read_text())
        yield Balancer(tmp_path, port, tls_port, config, authority, pid)


@pytest.mark.parametrize("case", [name for name, _ in TLS_CASES if name != "newest"])
def test_nginx_takes_each_configuration_without_a_warning(rendered: Rendered, tmp_path: Path, case: str) -> None:
    give_certificate(Authority(tmp_path / "ca"), tmp_path / "tls/nginx")
    text = rendered.text(f"nginx-tls-{case}.conf").replace(str(rendered.folder), str(tmp_path))
    text = text.replace("/srv/acme/", f"{tmp_path}/tls/nginx/")
    # Where there is a responder only: this authority has none, and nginx says so, which is why the role looks.
    text = text.replace("ssl_stapling on;", "")
    (tmp_path / "obscraft-test.conf").write_text(rendered.text("obscraft-test.conf"))
    config = tmp_path / "nginx.conf"
    config.write_text(text)
    done = subprocess.run(
        [str(NGINX), "-t", "-q", "-c", config, "-g", "pid /dev/null;"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    unheard = [line for line in done.stderr.splitlines() if "not running as root" not in line and "user" not in line]
    assert unheard == []


def test_http2_is_asked_for_as_the_installed_release_wants_it(rendered: Rendered) -> None:
    old, new = rendered.text("nginx-tls-serve.conf"), rendered.text("nginx-tls-newest.conf")
    assert f"listen 127.0.0.1:{rendered.tls_port} ssl http2 default_server;" in old
    assert "http2 on;" not in old
    assert f"listen 127.0.0.1:{rendered.tls_port} ssl default_server;" in new
    assert new.count("http2 on;") == 1


def test_without_the_switch_nothing_of_tls_is_rendered(rendered: Rendered) -> None:
    """The names of the log's fields and variables aside."""
    for name in ("nginx.conf", "nginx-here.conf", "nginx-tests.conf"):
        text = re.sub(r"\$?\bssl_(protocol|cipher)\b", "", rendered.text(name))
        assert not re.findall(r"(?i)\b(?:proxy_)?ssl\w*|\bhttp2\b|\bhsts\b|https", text), name


def test_https_is_answered_beside_http_and_the_lines_say_how(rendered: Rendered, tmp_path: Path) -> None:
    with balancer(rendered, tmp_path, "serve") as one:
        assert one.get("/a").status == 200
        assert one.get("/b", tls=False).status == 200
        done = subprocess.run(
            ["curl", "-sS", "--http2", "--cacert", one.authority.ca_file, f"https://127.0.0.1:{one.tls_port}/c"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        lines = {line.uri: line for line in one.lines(3)}
    assert [(lines[uri].scheme, lines[uri].protocol) for uri in ("/a", "/b", "/c")] == [
        ("https", "HTTP/1.1"),
        ("http", "HTTP/1.1"),
        ("https", "HTTP/2.0"),
    ]
    assert lines["/a"].ssl_protocol == lines["/c"].ssl_protocol == "TLSv1.3"
    assert lines["/a"].ssl_cipher.startswith("TLS_")
    assert (lines["/b"].ssl_protocol, lines["/b"].ssl_cipher) == ("", "")


def test_redirect_sends_to_the_same_address_with_tls(rendered: Rendered, tmp_path: Path) -> None:
    with balancer(rendered, tmp_path, "redirect") as one:
        answer = one.get("/a?b=c", tls=False)
        assert (answer.status, answer.getheader("Location")) == (308, f"https://127.0.0.1:{one.tls_port}/a?b=c")
        assert answer.getheader("Strict-Transport-Security") is None
        assert one.get(HEALTH, tls=False).status == 200
        over_tls = one.get("/d")
        assert (over_tls.status, over_tls.getheader("Strict-Transport-Security")) == (200, "max-age=63072000")
        assert one.get(HEALTH).getheader("Strict-Transport-Security") == "max-age=63072000"


def test_close_does_not_listen_in_clear(rendered: Rendered, tmp_path: Path) -> None:
    with balancer(rendered, tmp_path, "close") as one:
        with pytest.raises(ConnectionRefusedError):
            one.get("/", tls=False)
        assert one.get("/").status == 200
        assert one.get(HEALTH).getheader("X-Balancer") == "node1"


@pytest.mark.parametrize(("case", "refused"), [("serve", False), ("modern", True)])
def test_only_the_intermediate_profile_speaks_tls_1_2(
    rendered: Rendered, tmp_path: Path, case: str, refused: bool
) -> None:
    with balancer(rendered, tmp_path, case) as one:
        context = one.context()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        if refused:
            with pytest.raises(ssl.SSLError):
                one.get("/", context=context)
        else:
            one.get("/", context=context)
            (line,) = one.lines(1)
            assert (line.ssl_protocol, line.ssl_cipher) == ("TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384")
        assert one.get("/").status == 200


def test_a_session_is_resumed_without_a_ticket(rendered: Rendered, tmp_path: Path) -> None:
    with balancer(rendered, tmp_path, "serve") as one:
        context = one.context()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        raw = socket.create_connection(("127.0.0.1", one.tls_port), 5)
        with context.wrap_socket(raw, server_hostname="127.0.0.1") as line:
            session = line.session
        assert session is not None
        assert not session.has_ticket
        raw = socket.create_connection(("127.0.0.1", one.tls_port), 5)
        with context.wrap_socket(raw, server_hostname="127.0.0.1", session=session) as line:
            assert line.session_reused


def test_a_new_certificate_is_served_after_a_reload_that_drops_no_connection(
    rendered: Rendered, tmp_path: Path
) -> None:
    with balancer(rendered, tmp_path, "serve") as one:
        before = ssl.get_server_certificate(("127.0.0.1", one.tls_port))
        raw = socket.create_connection(("127.0.0.1", one.tls_port), 5)
        with one.context().wrap_socket(raw, server_hostname="127.0.0.1") as line:
            # Half a request, which the old process has to finish.
            line.sendall(b"GET /half HTTP/1.1\r\nHost: x\r\n")
            give_certificate(one.authority, tmp_path / "tls/nginx")
            subprocess.run(["kill", f"-{signal.SIGHUP.value}", str(one.pid)], check=True)
            for _ in range(100):
                if ssl.get_server_certificate(("127.0.0.1", one.tls_port)) != before:
                    break
                time.sleep(0.05)
            else:
                pytest.fail("the old certificate is still served")
            line.sendall(b"Connection: close\r\n\r\n")
            answer = b""
            while piece := line.recv(4096):
                answer += piece
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert one.get("/after").status == 200


@pytest.mark.parametrize(("names", "status"), [(("backend.obscraft.internal",), 200), (("other.example.com",), 502)])
def test_back_ends_are_asked_with_tls_and_their_name_is_checked(
    rendered: Rendered, tmp_path: Path, names: tuple[str, ...], status: int
) -> None:
    authority = Authority(tmp_path / "ca-of-backends")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.issue("backend", names))
    with balancer(rendered, tmp_path, "backends", tls=context) as one:
        # Of another authority so far.
        assert one.get("/").status == 502
        shutil.copy(authority.ca_file, tmp_path / "tls/ca.pem")
        subprocess.run(["kill", f"-{signal.SIGHUP.value}", str(one.pid)], check=True)
        for _ in range(100):
            if (answered := one.get("/").status) == status:
                break
            time.sleep(0.05)
        assert answered == status


def test_a_certificate_of_ones_own_is_read_where_it_lies(rendered: Rendered) -> None:
    text = rendered.text("nginx-tls-own.conf")
    assert "ssl_certificate /srv/acme/cert.pem;" in text
    assert "ssl_certificate_key /srv/acme/key.pem;" in text
    assert "ssl_stapling on;" in text
    assert "ssl_stapling" not in rendered.text("nginx-tls-serve.conf")


def test_the_answer_of_the_certificates_responder_is_stapled(rendered: Rendered, tmp_path: Path) -> None:
    def stapled(one: Balancer) -> bool:
        ask = ["openssl", "s_client", "-connect", f"127.0.0.1:{one.tls_port}", "-CAfile", one.authority.ca_file]
        done = subprocess.run([*ask, "-status"], input="", capture_output=True, text=True, check=True)
        return "Cert Status: good" in done.stdout

    authority = Authority(tmp_path / "ca")
    with authority.responder() as responder, balancer(rendered, tmp_path, "own", authority, responder) as one:
        # nginx asks for it after the first handshake.
        wait_for("a stapled answer", lambda: stapled(one))


def test_a_request_in_clear_on_the_port_of_tls_gets_nginxs_own_words(rendered: Rendered, tmp_path: Path) -> None:
    """What obsctl recognises a TLS port by."""
    with balancer(rendered, tmp_path, "serve") as one:
        connection = http.client.HTTPConnection("127.0.0.1", one.tls_port, timeout=5)
        connection.request("GET", "/")
        answer = connection.getresponse()
        assert answer.status == 400
        assert b"The plain HTTP request was sent to HTTPS port" in answer.read()
        connection.close()
        (line,) = one.lines(1)
        assert (line.status, line.scheme, line.ssl_protocol) == (400, "http", "")


def test_signed_requests_are_taken_over_tls_as_well(
    rendered: Rendered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Probes of ``verify lb`` go to the back ends and are marked; those of ``alert test`` are answered by nginx."""
    monkeypatch.setattr(ssh, "run", lambda *_args, **_options: ssh.Answer(failure="no route"))
    reference = f"file:{rendered.folder}/test-secret"
    with balancer(rendered, tmp_path, "redirect") as one:
        https = Https(port=one.tls_port, ca_file=str(one.authority.ca_file), http="redirect")
        vip = Vip(address="127.0.0.1", port=one.port, https=https, test_secret=reference)
        seen = collect_balancer(Fleet(vip=vip), requests=60)
        assert (seen.marked, seen.unmarked, seen.failures) == (True, "", {})
        asked = {tally.upstream for tally in seen.backends}
        assert len(asked) == 3
        key = key_of(resolve(reference))
        assert send("127.0.0.1", web(vip), Request(uri="/signed", status=418), "0123456789abcdef", key) == ""
        for _ in range(100):
            lines = (one.folder / "access.log").read_text().splitlines()
            if len(lines) > seen.sent:
                break
            time.sleep(0.05)
    marked = [nginx_json.parse(line) for line in lines]
    assert all(isinstance(line, MarkedLine) for line in marked)
    assert {line.line.scheme for line in marked if isinstance(line, MarkedLine)} == {"https"}
    assert [
        line.line.status for line in marked if isinstance(line, MarkedLine) and not line.mark.startswith(PROBE)
    ] == [418]
