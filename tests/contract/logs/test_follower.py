"""Requests to real listeners, whose lines stand-ins carry on: what is sent, what is followed, and until when."""

from __future__ import annotations

import json
import queue
import re
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
import pytest

from obsctl.checks.ask import database, ssh, watch
from obsctl.checks.ask.web import Web
from obsctl.checks.logs import follow as following
from obsctl.checks.logs.hops import describe_lines
from obsctl.checks.logs.judge import judge_logs
from obsctl.core.errors import ConfigError
from obsctl.fleet.model import Alerter, BackendNode, Database, Fleet, Host, KafkaNode, Vip
from obsctl.kafka.topic_log import NotAnsweredError, Record
from obsctl.store.mysql import questions


class World:
    """A balancer on loopback; what it answers becomes a record, a row, a position, as long as nothing is held back.

    Attributes:
        held: hops that nothing passes.
        paths: that were asked for.
        agents: the names under which was asked.
    """

    def __init__(self) -> None:
        self.held: set[str] = set()
        self.paths: list[str] = []
        self.agents: list[str] = []
        self.records: queue.SimpleQueue[Record] = queue.SimpleQueue()
        self.stored: set[str] = set()
        self.next_offset = 0
        self.backends = ("node1", "node2")

    def answered(self, path: str, agent: str) -> str:
        """Note a request, and return the back end that answers it."""
        number = len(self.paths)
        self.paths.append(path)
        self.agents.append(agent)
        now = time.time()
        line = json.dumps({"msec": round(now, 3), "uri": path, "user_agent": agent})
        read = datetime.fromtimestamp(now + 0.01, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        event = {"@timestamp": read, "message": line, "host": {"name": "node1"}}
        if "kafka" not in self.held:
            self.records.put(Record(0, self.next_offset, b"", json.dumps(event).encode()))
            self.next_offset += 1
            if "row" not in self.held:
                self.stored.add(path)
        return self.backends[number % len(self.backends)]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()

    class Log:
        at_end = True

        def __init__(self, *_arguments: Any, **_options: Any) -> None:
            if "topic" in made.held:
                raise NotAnsweredError("Kafka does not answer")

        def poll(self, timeout_s: float) -> list[Record]:
            try:
                return [made.records.get(timeout=timeout_s)]
            except queue.Empty:
                return []

        def close(self) -> None:
            pass

    class Cursor:
        def execute(self, question: str, values: tuple[Any, ...]) -> None:
            assert question in (questions.ROWS_OF_URIS, questions.ROWS_OF_URIS_BETWEEN)
            assert all(
                moment.tzinfo is None for moment in (values[0] if question == questions.ROWS_OF_URIS else values[:2])
            )
            self._rows = [(uri,) for uri in values[-1] if uri in made.stored]

        def fetchall(self) -> list[tuple[str]]:
            return self._rows

    def ask(_fleet: Fleet, question: Callable[[Any], Any]) -> Any:
        if "database" in made.held:
            raise database.SilentError("no answer")
        return question(Cursor())

    def page(_host: Host, _command: str, **_options: Any) -> ssh.Answer:
        if "page" in made.held:
            return ssh.Answer(failure="no route")
        positions = {"0": 0 if "alerter" in made.held else made.next_offset}
        return ssh.Answer(output=json.dumps({"topics": {"nginxlog": {"id": "x", "positions": positions}}}))

    monkeypatch.setattr(watch, "TopicLog", Log)
    monkeypatch.setattr(database, "ask", ask)
    monkeypatch.setattr(ssh, "run", page)
    return made


@pytest.fixture
def fleet(world: World) -> Iterator[Fleet]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            backend = world.answered(self.path, self.headers["User-Agent"])
            self.send_response(404)
            self.send_header("X-Balancer", "node1")
            self.send_header("X-Backend-Server", backend)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    groups = ("lb", "backend", "kafka", "filebeat")
    yield Fleet(
        vip=Vip(address="127.0.0.1", port=server.server_port),
        hosts=(
            Host(name="node1", address="127.0.0.1", groups=groups, backend=BackendNode(), kafka=KafkaNode(node_id=1)),
            Host(name="node2", address="127.0.0.1", groups=("backend",), backend=BackendNode()),
            Host(name="app1", address="127.0.0.1", groups=("consumer",)),
        ),
        alerter=Alerter(access_topic="nginxlog"),
        database=Database(host="127.0.0.1"),
    )
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_line_of_each_balancer_and_back_end_is_followed_to_its_row(world: World, fleet: Fleet) -> None:
    seen = following.follow(fleet)
    assert [line.backend for line in seen.lines] == ["node1", "node2"]
    assert all(line.stored and line.evaluated for line in seen.lines)
    assert judge_logs(fleet, seen) == []
    assert len(set(world.paths)) == 2
    assert all(re.fullmatch(r"/obscraft-verify/[0-9a-f]{16}", path) for path in world.paths)
    # By this name health knows its own requests.
    assert set(world.agents) == {"obsctl"}
    for row in describe_lines(fleet, seen):
        assert (row["state"], row["hop"], row["host"]) == ("ok", "alerter", "node1")
        assert list(row["hops"]) == ["nginx", "file", "filebeat", "kafka", "row", "alerter"]
        assert abs(row["clock_s"]) < 0.1


def test_a_back_end_that_never_answers_ends_the_search(world: World, fleet: Fleet) -> None:
    world.backends = ("node1",)
    seen = following.follow(fleet)
    assert len(seen.lines) == 1 + 2 * following.TRIES_PER_BACKEND
    assert [finding.code for finding in judge_logs(fleet, seen)] == ["LB_BACKEND_SILENT"]


@pytest.mark.parametrize(
    ("held", "codes"),
    [
        ("kafka", {"LOGS_NOT_DELIVERED", "LOGS_NOT_ASKED"}),
        ("row", {"LOGS_NOT_STORED"}),
        ("alerter", {"LOGS_NOT_EVALUATED"}),
    ],
)
def test_a_line_that_stays_is_given_its_deadline(world: World, fleet: Fleet, held: str, codes: set[str]) -> None:
    world.held.add(held)
    seen = following.follow(fleet, deadline_s=1.0)
    assert {finding.code for finding in judge_logs(fleet, seen)} == codes


@pytest.mark.parametrize(
    ("held", "name"), [("topic", "topic/nginxlog"), ("database", "database"), ("page", "obsctl-alerter/app1")]
)
def test_what_cannot_be_asked_is_an_error_and_ends_early(world: World, fleet: Fleet, held: str, name: str) -> None:
    world.held.add(held)
    seen = following.follow(fleet, deadline_s=20.0)
    assert [fault.object for fault in seen.errors] == [name]
    assert judge_logs(fleet, seen) == []
    assert {row["state"] for row in describe_lines(fleet, seen)} == {"unknown"}
    if held == "topic":
        # Its row proves the whole way all the same.
        assert all(line.stored for line in seen.lines)


def test_a_trace_sends_so_many_one_after_the_other(world: World, fleet: Fleet) -> None:
    seen = following.trace(fleet, number=4)
    assert len(seen.lines) == 4
    starts = [line.sent for line in seen.lines]
    assert all(before.stored < start for before, start in zip(seen.lines, starts[1:], strict=False))


def test_where_requests_go(fleet: Fleet) -> None:
    assert [target.host for target in following.targets(fleet)] == ["node1"]
    with pytest.raises(ConfigError, match="there is no balancer node9"):
        following.targets(fleet, "node9")
    assert fleet.vip is not None
    alone = msgspec.structs.replace(fleet, vip=msgspec.structs.replace(fleet.vip, exclusive=True))
    assert following.targets(alone) == (following.Target("", "127.0.0.1", Web("http", fleet.vip.port, None)),)
    with pytest.raises(ConfigError, match="only on the virtual address"):
        following.targets(alone, "node1")
    with pytest.raises(ConfigError, match="VIP"):
        following.targets(Fleet())
