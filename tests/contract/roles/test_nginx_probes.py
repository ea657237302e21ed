"""``verify lb`` against a real nginx with the role's configuration, and back ends that are well, dead or frozen."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from obsctl.checks.ask import ssh
from obsctl.checks.balance import collect, upstream
from obsctl.checks.balance.judge import describe_balancer, judge_balancer
from obsctl.checks.balance.snapshot import BalancerSnapshot
from obsctl.core.report import Severity
from obsctl.fleet.model import BackendNode, Fleet, Host, Vip
from tests.contract.roles.conftest import TEST_SECRET, Rendered
from tests.contract.roles.test_nginx import NGINX, running

pytestmark = pytest.mark.skipif(
    NGINX is None or not Path("/etc/nginx/mime.types").exists(), reason="nginx is not installed"
)


class Backend(ThreadingHTTPServer):
    """Answers as a back end does; it can be slow, silent, or forget its name."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, name: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.name = name
        self.delay_s = 0.0
        self.frozen = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    server: Backend

    def do_GET(self) -> None:
        time.sleep(self.server.delay_s)
        if self.server.frozen.is_set():
            time.sleep(30)
        self.send_response(200)
        if self.server.name:
            self.send_header("X-Backend-Server", self.server.name)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@dataclass
class Site:
    """A balancer and its three back ends; ``config`` may be changed before it is started."""

    rendered: Rendered
    backends: dict[str, Backend]
    config: str
    secret: str
    fleet: Fleet = field(default_factory=Fleet)

    @contextlib.contextmanager
    def started(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
        """Run nginx, and have its own answer to ``nginx -T`` stand for the balancer's over ssh."""
        path = self.rendered.folder / "nginx-probes.conf"
        path.write_text(self.config)

        def asked(_host: Host, command: str, *, deadline_s: float) -> ssh.Answer:
            command = command.replace("nginx -T", f"{NGINX} -T -c {path} -g 'pid /dev/null;'", 1)
            done = subprocess.run(
                ["sh", "-c", command], capture_output=True, text=True, timeout=deadline_s * 5, check=False
            )
            return ssh.Answer(output=done.stdout)

        monkeypatch.setattr(ssh, "run", asked)
        with running(path, self.rendered.port):
            yield self

    def measure(self, **options: Any) -> BalancerSnapshot:
        """Return what ``verify lb`` sees."""
        return collect.collect_balancer(self.fleet, **options)

    def lines(self, count: int) -> list[dict[str, Any]]:
        """Return the access log once it has so many lines."""
        for _ in range(100):
            lines = (self.rendered.folder / "access.log").read_text().splitlines()
            if len(lines) >= count:
                break
            time.sleep(0.05)
        return [json.loads(line) for line in lines]


def found(site: Site, seen: BalancerSnapshot) -> list[tuple[str, Severity, str]]:
    return [(f.code, f.severity, f.object) for f in judge_balancer(site.fleet, seen)]


@pytest.fixture
def site(rendered: Rendered) -> Iterator[Site]:
    with contextlib.ExitStack() as stack:
        backends = {f"node{number}": Backend(f"node{number}") for number in (1, 2, 3)}
        text = re.sub(r"^user .*$", "user root;", rendered.text("nginx-tests.conf"), flags=re.M)
        hosts = []
        for number, (name, backend) in enumerate(backends.items(), 1):
            stack.callback(backend.server_close)
            threading.Thread(target=backend.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
            stack.callback(backend.shutdown)
            text = text.replace(f"192.0.2.1{number}:8080", f"127.0.0.1:{backend.server_port}")
            hosts.append(
                Host(
                    name=name, address="127.0.0.1", groups=("lb", "backend") if number == 1 else ("backend",),
                    backend=BackendNode(port=backend.server_port),
                )
            )  # fmt: skip
        (rendered.folder / "access.log").write_text("")
        secret = rendered.folder / "test-secret"
        vip = Vip(address="127.0.0.1", port=rendered.port, test_secret=f"file:{secret}")
        yield Site(rendered, backends, text, TEST_SECRET, Fleet(vip=vip, hosts=tuple(hosts)))


def test_a_sound_balancer_is_measured_without_a_trace_in_the_traffic(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site.started(monkeypatch):
        seen = site.measure(requests=90)
        lines = site.lines(90)
    assert found(site, seen) == []
    assert (seen.marked, seen.sent, seen.answered, seen.balancers) == (True, 90, 90, {"node1": 90})
    assert [(tally.name, tally.answers) for tally in seen.backends] == [("node1", 30), ("node2", 30), ("node3", 30)]
    assert {line.get("obscraft_test", "")[:6] for line in lines} == {"probe-"}
    data = describe_balancer(site.fleet, seen)
    assert (data["method"], data["counted_as_traffic"], data["notes"]) == ("least_conn", False, [])
    (config,) = seen.configs
    assert config.upstream is not None
    assert (config.workers, config.upstream.zone) == (0, True)
    assert {m.address for m in config.upstream.members} == set(upstream.addresses(site.fleet))


def test_kept_connections_are_balanced_as_well(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with site.started(monkeypatch):
        seen = site.measure(requests=90, keepalive=True)
    assert found(site, seen) == []
    assert (seen.answered, seen.keepalive, seen.marked) == (90, True, True)


@pytest.mark.parametrize(
    ("vip", "words"),
    [
        ({"test_secret": ""}, "does not name the secret"),
        ({"log_format": "combined"}, "the format combined"),
        ({"test_secret": "file:/nowhere"}, "/nowhere"),
    ],
)
def test_without_a_secret_the_requests_are_everybodys_and_the_report_says_so(
    site: Site, vip: dict[str, str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert site.fleet.vip is not None
    site.fleet = Fleet(vip=Vip(address="127.0.0.1", port=site.rendered.port, **vip), hosts=site.fleet.hosts)  # type: ignore[arg-type]
    with site.started(monkeypatch):
        seen = site.measure(requests=60)
        lines = site.lines(60)
    assert not any("obscraft_test" in line for line in lines)
    notes = describe_balancer(site.fleet, seen)["notes"]
    assert len(notes) == 1
    assert notes[0]["note"].startswith("the 60 requests count as traffic")
    assert words in notes[0]["note"]


def test_an_nginx_with_another_secret_takes_them_for_traffic(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    other = site.rendered.folder / "another-secret"
    other.write_text("another")
    site.fleet = Fleet(
        vip=Vip(address="127.0.0.1", port=site.rendered.port, test_secret=f"file:{other}"), hosts=site.fleet.hosts
    )
    with site.started(monkeypatch):
        seen = site.measure(requests=60)
    assert seen.marked is False
    assert "another secret" in seen.unmarked


def test_a_dead_back_end_is_named_with_what_nginx_did(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    dead = site.backends["node2"]
    dead.shutdown()
    dead.server_close()
    with site.started(monkeypatch):
        seen = site.measure()
    findings = judge_balancer(site.fleet, seen)
    assert [(f.code, f.object) for f in findings] == [("LB_BACKEND_SILENT", "backend/node2")]
    assert seen.retried == {f"127.0.0.1:{dead.server_port}": 2}
    assert "nginx asked it 2 times without success" in findings[0].summary
    assert "when asked directly on port" in findings[0].summary
    assert "connection refused" in findings[0].summary
    assert seen.sent < 60, "plain after some twenty answers"
    assert "node2 clearly gets no requests" in str(describe_balancer(site.fleet, seen)["notes"])


def test_a_frozen_back_end_is_plain_after_some_requests(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.backends["node3"].frozen.set()
    monkeypatch.setattr(collect, "REQUEST_DEADLINE_S", 0.5)
    with site.started(monkeypatch):
        seen = site.measure()
    findings = judge_balancer(site.fleet, seen)
    assert [(f.code, f.object, f.severity) for f in findings] == [
        ("LB_BACKEND_SILENT", "backend/node3", Severity.CRITICAL),
        ("LB_ERRORS", "lb", Severity.CRITICAL),
    ]
    assert seen.sent <= 20
    assert seen.direct == {"node1": "", "node2": "", "node3": "no answer in time"}


def test_a_slow_back_end_ends_the_run_and_is_named(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.backends["node1"].delay_s = 0.15
    monkeypatch.setattr("obsctl.checks.balance.stopping.SLOW_RUN_S", 2.0)
    with site.started(monkeypatch):
        seen = site.measure()
    assert found(site, seen) == [("LB_SLOW_BACKEND", Severity.WARNING, "backend/node1")]
    assert seen.sent < 600
    assert not seen.late


def test_a_foreign_member_is_named_dead_or_alive(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    stranger = Backend("")
    threading.Thread(target=stranger.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    address = f"127.0.0.1:{stranger.server_port}"
    site.config = site.config.replace("        least_conn;", f"        least_conn; server {address};")
    with site.started(monkeypatch):
        alive = site.measure(requests=80)
        stranger.shutdown()
        stranger.server_close()
        dead = site.measure(requests=60)
    assert found(site, alive) == [("LB_UNKNOWN_BACKEND", Severity.CRITICAL, f"backend/{address}")]
    assert found(site, dead) == [("LB_MEMBER_UNKNOWN", Severity.WARNING, f"backend/{address}")]


def test_a_wrong_name_at_a_back_ends_address_is_one_finding(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.backends["node1"].name = "intruder7"
    with site.started(monkeypatch):
        seen = site.measure(requests=90)
    (finding,) = judge_balancer(site.fleet, seen)
    assert (finding.code, finding.object) == ("LB_UNKNOWN_BACKEND", "backend/intruder7")
    assert "node1's address" in finding.summary


def test_ip_hash_is_recognised(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    # ip_hash takes no backup members.
    text = re.sub(r"(?m)^ *server [^;]* backup;.*$", "", site.config).replace("least_conn;", "ip_hash;")
    site.config = text
    with site.started(monkeypatch):
        seen = site.measure(requests=60)
    assert len(seen.backends) == 1
    assert found(site, seen) == []
    assert "when asked directly, 3 of 3 back ends answer" in str(describe_balancer(site.fleet, seen)["notes"])


@pytest.mark.parametrize("status", [429, 503])
def test_nginxs_own_limit_is_recognised(site: Site, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    zone = "    limit_req_zone $binary_remote_addr zone=web:1m rate=1r/s;\n"
    limit = f"            limit_req zone=web burst=40 nodelay;\n            limit_req_status {status};\n"
    site.config = site.config.replace("    upstream backends {", f"{zone}    upstream backends {{")
    site.config = re.sub(r"(?m)^        location / \{\n", lambda found: found[0] + limit, site.config, count=1)
    assert "limit_req_status" in site.config
    with site.started(monkeypatch):
        seen = site.measure(requests=90)
    findings = judge_balancer(site.fleet, seen)
    assert [f.code for f in findings] == ["LB_RATE_LIMITED"]
    assert f"status {status}" in findings[0].summary
    assert "limit_req zone=web burst=40 nodelay" in findings[0].summary


def test_refusals_and_errors_of_nginx_are_kept_apart(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both come without a name; one is the client's pace, the other the back ends'."""
    site.config = site.config.replace(
        "    upstream backends {",
        "    limit_req_zone $binary_remote_addr zone=web:1m rate=1r/s;\n    upstream backends {",
    )
    limit = "            limit_req zone=web burst=5 nodelay;\n            limit_req_status 429;\n"
    site.config = re.sub(r"(?m)^        location / \{\n", lambda found: found[0] + limit, site.config, count=1)
    for backend in site.backends.values():
        backend.shutdown()
        backend.server_close()
    with site.started(monkeypatch):
        seen = site.measure(requests=60)
    found_codes = {f.code for f in judge_balancer(site.fleet, seen)}
    assert {"LB_ERRORS", "LB_RATE_LIMITED"} <= found_codes
    assert "LB_UNKNOWN_BACKEND" not in found_codes


def test_weights_are_expected(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    port = site.backends["node1"].server_port
    site.config = site.config.replace(f"127.0.0.1:{port} max_fails=2", f"127.0.0.1:{port} weight=4 max_fails=2")
    with site.started(monkeypatch):
        seen = site.measure(requests=90)
    assert found(site, seen) == []
    assert {tally.name: tally.answers for tally in seen.backends} == {"node1": 60, "node2": 15, "node3": 15}


def test_what_is_asked_of_a_balancer_prints_no_secret(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    whole: list[str] = []
    real: Callable[..., ssh.Answer] | None = None
    with site.started(monkeypatch):
        real = ssh.run

        def listening(host: Host, command: str, *, deadline_s: float) -> ssh.Answer:
            answer = real(host, command, deadline_s=deadline_s)
            whole.append(answer.output)
            return answer

        monkeypatch.setattr(ssh, "run", listening)
        site.measure(requests=60)
    key = re.search(r"\$http_x_obscraft_test ([0-9a-f]{64})", site.rendered.text("obscraft-test.conf"))
    assert key
    assert whole
    assert "upstream backends" in whole[0]
    assert key[1] not in "".join(whole)
    assert "secure_link" not in "".join(whole)


def test_the_health_path_asks_no_back_end(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with site.started(monkeypatch):
        connection = http.client.HTTPConnection("127.0.0.1", site.rendered.port, timeout=5)
        connection.request("GET", "/obscraft-health")
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("X-Backend-Server")) == (200, None)
        connection.close()
        assert site.lines(0) == []
