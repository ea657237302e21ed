"""verify and kafka as a person calls them: exit codes, formats and snapshots, against listeners on loopback."""

from __future__ import annotations

import itertools
import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest

from obsctl.cli import main
from obsctl.core.errors import ExitCode
from obsctl.fleet.model import BackendNode, Fleet, Host, KafkaNode, Ssh, Vip
from rig.peers import peer
from rig.waiting import HANGS_S


class Balancer(ThreadingHTTPServer):
    """Answers in turn as one of its back ends; ``status`` and ``names`` may be changed at any time."""

    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.names = ["node1", "node2", "node3"]
        self.status = 200
        self.turn = itertools.count()


class _Handler(BaseHTTPRequestHandler):
    server: Balancer

    def do_GET(self) -> None:
        self.send_response(self.server.status)
        if self.server.names:
            self.send_header("X-Backend-Server", self.server.names[next(self.server.turn) % len(self.server.names)])
        self.send_header("X-Balancer", "node1")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def balancer() -> Iterator[Balancer]:
    with Balancer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def hung() -> Iterator[int]:
    """The port of a process that was stopped: the kernel takes the connection and no process ever answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def closed() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@pytest.fixture
def fleet_file(tmp_path: Path):
    def write(vip_port: int = 1, broker_ports: tuple[int, ...] = ()) -> str:
        ports = broker_ports or (1, 1, 1)
        fleet = Fleet(
            vip=Vip(address="127.0.0.1", port=vip_port),
            hosts=tuple(
                Host(
                    name=f"node{number}",
                    address="127.0.0.1",
                    groups=("lb", "backend", "kafka"),
                    ssh=Ssh(port=1),
                    backend=BackendNode(),
                    kafka=KafkaNode(node_id=number, broker_port=port, controller_port=1),
                )
                for number, port in enumerate(ports, 1)
            ),
        )
        path = tmp_path / "fleet.json"
        path.write_bytes(msgspec.json.encode(fleet))
        return str(path)

    return write


def report(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[ExitCode, dict]:
    code = main.run([*argv, "-o", "json"])
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return code, json.loads(out)


def codes(answer: dict) -> list[str]:
    return [finding["code"] for finding in answer["findings"]]


def test_a_fair_balancer_is_ok(balancer: Balancer, fleet_file, capsys) -> None:
    code, answer = report(capsys, "-i", fleet_file(balancer.server_port), "verify", "lb")
    assert (code, answer["status"], answer["command"]) == (0, "ok", "verify lb")
    assert [row["got"] for row in answer["data"]["backends"]] == [200, 200, 200]
    assert answer["schema"] == "obsctl/v1"


def test_a_silent_back_end_is_named(balancer: Balancer, fleet_file, capsys) -> None:
    balancer.names = ["node1", "node3"]
    code, answer = report(capsys, "-i", fleet_file(balancer.server_port), "verify", "lb", "-n", "120")
    assert code == 2
    assert [(f["code"], f["object"]) for f in answer["findings"]] == [("LB_BACKEND_SILENT", "backend/node2")]


def test_concurrent_requests_are_all_counted(balancer: Balancer, fleet_file, capsys) -> None:
    _, answer = report(capsys, "-i", fleet_file(balancer.server_port), "verify", "lb", "-n", "300", "-c", "8")
    assert sum(row["got"] for row in answer["data"]["backends"]) == 300


def test_kept_connections_are_counted_too(balancer: Balancer, fleet_file, capsys) -> None:
    code, answer = report(capsys, "-i", fleet_file(balancer.server_port), "verify", "lb", "-n", "60", "--keepalive")
    assert (code, answer["data"]["requests"]) == (0, 60)


def test_refusals_of_a_rate_limit_are_no_foreign_server(balancer: Balancer, fleet_file, capsys) -> None:
    balancer.status, balancer.names = 429, []
    code, answer = report(capsys, "-i", fleet_file(balancer.server_port), "verify", "lb", "-n", "60")
    assert (code, codes(answer)) == (1, ["LB_RATE_LIMITED", "LB_TOO_FEW_ANSWERS"])


def test_the_report_is_a_page_of_its_own(balancer: Balancer, fleet_file, tmp_path: Path, capsys) -> None:
    page = tmp_path / "lb.html"
    argv = ("-i", fleet_file(balancer.server_port), "verify", "lb", "-n", "60", "--report", str(page))
    assert report(capsys, *argv)[0] == 0
    text = page.read_text()
    assert text.startswith("<!doctype html>")
    assert "verify lb" in text
    assert main.run([*argv[:-1], str(tmp_path / "no/where.html")]) == ExitCode.CONFIG
    assert "the report cannot be written" in capsys.readouterr().err


def test_only_errors_end_the_run_early(balancer: Balancer, fleet_file, capsys) -> None:
    balancer.status, balancer.names = 502, []
    code, answer = report(capsys, "-i", fleet_file(balancer.server_port), "verify", "lb")
    assert (code, codes(answer)) == (2, ["LB_ERRORS"])
    assert answer["data"]["requests"] < 100


def test_a_closed_vip_is_critical_at_once(closed: int, fleet_file, capsys) -> None:
    code, answer = report(capsys, "-i", fleet_file(closed), "verify", "lb")
    assert (code, codes(answer)) == (2, ["VIP_UNREACHABLE"])
    assert answer["data"]["requests"] == 2


def test_a_silent_vip_is_critical_after_two_time_outs(hung: int, fleet_file, capsys) -> None:
    started = time.monotonic()
    code, answer = report(capsys, "-i", fleet_file(hung), "verify", "lb")
    assert (code, codes(answer)) == (2, ["VIP_UNREACHABLE"])
    assert answer["data"]["requests"] == 2
    assert time.monotonic() - started < HANGS_S


def test_a_balancer_that_cannot_be_asked_makes_the_vip_unknown(balancer: Balancer, fleet_file, capsys) -> None:
    code, answer = report(capsys, "-i", fleet_file(balancer.server_port), "verify", "vip")
    assert (code, answer["status"]) == (3, "unknown")
    assert set(codes(answer)) == {"VIP_HOLDER_UNKNOWN", "LB_NODE_NOT_ASKED"}
    assert answer["data"]["vip"]["answered_by"] == "node1"


def test_no_broker_at_all(closed: int, fleet_file, capsys) -> None:
    code, answer = report(capsys, "-i", fleet_file(broker_ports=(closed,) * 3), "kafka", "status")
    assert (code, codes(answer)) == (2, ["KAFKA_UNREACHABLE"])
    assert {row["state"] for row in answer["data"]["brokers"]} == {"down"}


def test_only_hung_brokers_cost_one_deadline_not_three(hung: int, fleet_file, capsys) -> None:
    started = time.monotonic()
    code, answer = report(capsys, "-i", fleet_file(broker_ports=(hung,) * 3), "kafka", "status")
    assert (code, codes(answer)) == (2, ["KAFKA_UNREACHABLE"])
    assert time.monotonic() - started < 3


def test_something_that_is_no_broker(balancer: Balancer, fleet_file, capsys) -> None:
    code, answer = report(capsys, "-i", fleet_file(broker_ports=(balancer.server_port,)), "kafka", "partitions")
    assert (code, codes(answer)) == (2, ["KAFKA_UNREACHABLE"])


def garbled(line: socket.socket) -> None:
    """Answer with the right correlation id and a body that no codec can read."""
    question = line.recv(4096)
    answer = question[8:12] + b"\0\0" + b"\xff" * 30
    line.sendall(len(answer).to_bytes(4, "big") + answer)


def test_an_answer_that_cannot_be_decoded_is_no_answer(fleet_file, capsys) -> None:
    with peer(garbled) as port:
        code, answer = report(capsys, "-i", fleet_file(broker_ports=(port,)), "kafka", "status")
    assert (code, codes(answer)) == (2, ["KAFKA_UNREACHABLE"])
    assert "not Kafka" in answer["findings"][0]["summary"]


@pytest.mark.parametrize("command", [("verify", "lb"), ("verify", "vip"), ("kafka", "status"), ("kafka", "partitions")])
def test_a_saved_snapshot_says_the_same_offline(command, balancer: Balancer, fleet_file, tmp_path, capsys) -> None:
    saved = str(tmp_path / "seen.json")
    fleet = fleet_file(balancer.server_port)
    live_code, live = report(capsys, "-i", fleet, *command, "--save-snapshot", saved)
    code, again = report(capsys, "-i", "/nowhere", *command, "--from-file", saved)
    assert code == live_code
    for key in ("command", "status", "checked_at", "findings", "errors", "data"):
        assert again[key] == live[key], key


def test_a_snapshot_of_another_command_is_refused(closed: int, fleet_file, tmp_path, capsys) -> None:
    saved = str(tmp_path / "seen.json")
    main.run(["-i", fleet_file(closed), "verify", "lb", "--save-snapshot", saved])
    assert main.run(["kafka", "status", "--from-file", saved]) == 78
    assert "holds a snapshot of `verify lb`" in capsys.readouterr().err


@pytest.mark.parametrize(
    "argv", [("verify", "lb", "-n", "5"), ("verify", "lb", "-c", "0"), ("verify", "vip", "extra"), ("kafka", "what")]
)
def test_a_wrong_call_is_a_usage_error(argv: tuple[str, ...], capsys) -> None:
    assert main.run(list(argv)) == 64
    assert capsys.readouterr().out == ""
