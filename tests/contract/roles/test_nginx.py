"""The balancer's configuration, loaded by a real nginx, and the lines that it writes."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import json
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from obsctl.checks.vip.collect import HEALTH_PATH
from obsctl.lines.formats import nginx_json
from rig.ports import free_port
from tests.contract.roles.conftest import ROOT, Rendered

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
pytestmark = pytest.mark.skipif(
    NGINX is None or not Path("/etc/nginx/mime.types").exists(), reason="nginx is not installed"
)


@pytest.fixture(scope="module")
def nginx(rendered: Rendered) -> Iterator[Rendered]:
    """A running nginx with the rendered configuration; its back ends are addresses that no host has."""
    config = rendered.folder / "nginx-here.conf"
    config.write_text(re.sub(r"^user .*$", "user root;", rendered.text("nginx-here.conf"), flags=re.M))
    with running(config, rendered.port):
        yield rendered


@contextlib.contextmanager
def running(config: Path, port: int) -> Iterator[None]:
    """Run nginx with a configuration; it listens on the port."""
    options = f"daemon off; pid {config.parent}/nginx.pid;"
    with subprocess.Popen([str(NGINX), "-c", config, "-g", options], stderr=subprocess.PIPE, text=True) as process:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, process.stderr and process.stderr.read()
            time.sleep(0.05)
        try:
            yield
        finally:
            process.send_signal(signal.SIGQUIT)
            process.wait(10)


def _lines(rendered: Rendered, marker: str) -> list[bytes]:
    for _ in range(100):
        found = [line for line in (rendered.folder / "access.log").read_bytes().splitlines() if marker.encode() in line]
        if found:
            return found
        time.sleep(0.05)
    pytest.fail(f"no line with {marker}")


def _get(port: int, path: str, **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    response.read()
    connection.close()
    return response


def test_a_temporary_file_can_be_tested_where_it_lies(rendered: Rendered, tmp_path: Path) -> None:
    config = tmp_path / "elsewhere.conf"
    config.write_text(rendered.text("nginx-here.conf"))
    done = subprocess.run(
        [str(NGINX), "-t", "-q", "-c", config, "-g", "pid /dev/null;"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_line_has_the_documented_fields(nginx: Rendered) -> None:
    _get(nginx.port, "/fields")
    line = json.loads(_lines(nginx, "/fields")[0])
    page = (ROOT / "docs/reference/log-format.md").read_text().split("\n## ")[1]
    documented = re.findall(r"^\| `(\w+)` \|", page, flags=re.M)
    assert list(line) == documented
    for name in ("msec", "status", "bytes", "request_length", "request_time"):
        assert isinstance(line[name], int | float), name
    assert line["server"] == "node1"
    assert line["status"] in (502, 504)


def test_hostile_values_stay_one_line_of_json(nginx: Rendered) -> None:
    with socket.create_connection(("127.0.0.1", nginx.port)) as raw:
        raw.sendall(
            b'GET /hostile?q="\\\xff HTTP/1.0\r\nUser-Agent: a"b\\c\x01\x7f\xc3\xa9\xfe\r\nReferer: \t"}\r\n\r\n'
        )
        raw.settimeout(5)
        while raw.recv(4096):
            pass
    (line,) = _lines(nginx, "/hostile")
    # As Filebeat sends it: what is not UTF-8 is replaced.
    access = nginx_json.parse(line.decode("utf-8", "replace"))
    assert access.uri.startswith('/hostile?q="\\')
    assert access.user_agent.startswith('a"b\\c\x01')


def test_a_status_is_a_number_even_without_an_answer(nginx: Rendered) -> None:
    with socket.create_connection(("127.0.0.1", nginx.port)) as raw:
        raw.sendall(b"GET /nine\r\n")
        raw.settimeout(5)
        raw.recv(4096)
    json.loads(_lines(nginx, "/nine")[0])


@pytest.mark.parametrize(("sent", "accepted"), [("abc.DEF_1-", True), ("seven77", False), ("a" * 65, False)])
def test_a_request_id_is_accepted_only_when_well_formed(nginx: Rendered, sent: str, accepted: bool) -> None:
    got = _get(nginx.port, f"/id?{sent}", X_Request_ID=sent).getheader("X-Request-ID")
    line = json.loads(_lines(nginx, f'/id?{sent}"')[0])
    assert got == line["client_request_id"]
    assert (got == sent) is accepted
    assert line["request_id"] != sent


def test_the_check_answers_without_back_ends_and_without_a_line(nginx: Rendered) -> None:
    assert _get(nginx.check_port, "/nginx-health").status == 200
    assert _get(nginx.check_port, "/nginx-status").status == 200
    assert b"nginx-health" not in (nginx.folder / "access.log").read_bytes()


def test_every_back_end_is_in_the_shared_zone(rendered: Rendered) -> None:
    upstream = re.search(r"upstream backends \{(.*?)\n    \}", rendered.text("nginx.conf"), flags=re.S)
    assert upstream is not None
    assert re.findall(r"server (\S+) ", upstream[1]) == [f"192.0.2.1{n}:8080" for n in (1, 2, 3)] * 2
    assert "zone backends" in upstream[1]
    assert "least_conn;" in upstream[1]
    assert "non_idempotent" not in re.sub("#.*", "", rendered.text("nginx.conf"))


class BackEnds:
    """Three back ends on ports of their own; each can be stopped and started again on its port.

    Args:
        tls: with which they answer; None for no TLS.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.ports: list[int] = []
        self._running: dict[int, http.server.ThreadingHTTPServer] = {}
        for _ in range(3):
            self.ports.append(self.start(0))

    def start(self, port: int) -> int:
        """Start the back end of a port, 0 for a new one; return its port."""
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), _Answer)
        if self._tls is not None:
            server.socket = self._tls.wrap_socket(server.socket, server_side=True)
        port = server.server_address[1]
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        self._running[port] = server
        return port

    def stop(self, port: int) -> None:
        """Stop the back end: connections to its port are refused."""
        server = self._running.pop(port)
        server.shutdown()
        server.server_close()

    def stop_all(self) -> None:
        """Stop those that run."""
        for port in list(self._running):
            self.stop(port)


class _Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def balanced(rendered: Rendered, tmp_path: Path) -> Iterator[tuple[BackEnds, int, Path]]:
    """Three back ends behind a running nginx; its port and its access log."""
    back_ends = BackEnds()
    port, check_port = free_port(), free_port()
    text = rendered.text("nginx-here.conf").replace(str(rendered.folder), str(tmp_path))
    text = text.replace(f":{rendered.port} ", f":{port} ").replace(f":{rendered.check_port};", f":{check_port};")
    for number, own in enumerate(back_ends.ports, start=1):
        text = text.replace(f"192.0.2.1{number}:8080", f"127.0.0.1:{own}")
    config = tmp_path / "nginx.conf"
    config.write_text(re.sub(r"^user .*$", "user root;", text, flags=re.M))
    with running(config, port):
        yield back_ends, port, tmp_path / "access.log"
    back_ends.stop_all()


def _statuses(port: int, count: int) -> set[int]:
    return {_get(port, "/").status for _ in range(count)}


def test_no_502_when_all_back_ends_are_back(balanced: tuple[BackEnds, int, Path]) -> None:
    back_ends, port, _ = balanced
    assert _statuses(port, 12) == {200}
    back_ends.stop_all()
    # Enough to have each of them left out.
    assert _statuses(port, 12) == {502}
    for own in back_ends.ports:
        back_ends.start(own)
    assert _statuses(port, 30) == {200}


def test_one_that_is_back_is_enough(balanced: tuple[BackEnds, int, Path]) -> None:
    back_ends, port, _ = balanced
    back_ends.stop_all()
    assert _statuses(port, 12) == {502}
    back_ends.start(back_ends.ports[1])
    assert _statuses(port, 30) == {200}


def test_one_dead_back_end_is_left_out(balanced: tuple[BackEnds, int, Path]) -> None:
    back_ends, port, log = balanced
    back_ends.stop(back_ends.ports[0])
    assert _statuses(port, 100) == {200}
    tried = [json.loads(line)["upstream_addr"].split(", ") for line in log.read_bytes().splitlines()[:100]]
    to_the_dead = [one for one in tried if f"127.0.0.1:{back_ends.ports[0]}" in one]
    # Twice until it is left out, then once each time that it may be back.
    assert 0 < len(to_the_dead) < 20


def test_rotation_is_by_rename(rendered: Rendered) -> None:
    text = rendered.text("logrotate")
    assert "copytruncate" not in text
    assert "kill -USR1" in text
    assert "delaycompress" in text


def test_a_look_at_an_idle_balancer_writes_no_line(nginx: Rendered) -> None:
    """The path that verify vip and health ask for; any other path is a request like everybody's."""
    answer = _get(nginx.port, HEALTH_PATH)
    assert (answer.status, answer.getheader("X-Balancer")) == (200, "node1")
    _get(nginx.port, f"{HEALTH_PATH}/not")
    assert len(_lines(nginx, HEALTH_PATH)) == 1, "the second one alone"
