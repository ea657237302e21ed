"""A request's line on its whole way through real parts: a log, Filebeat, Kafka, the consumer, its row."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from obsctl.checks.ask import ssh
from obsctl.checks.logs import collect
from obsctl.checks.logs.follow import follow, trace
from obsctl.checks.logs.hops import describe_hops, describe_lines
from obsctl.checks.logs.judge import judge_logs
from obsctl.fleet.model import Alerter, Database, Fleet, Host, KafkaNode, Vip
from rig.consumer import Pipeline
from rig.filebeat import archive, unpack
from rig.log_host import LogHost
from rig.records import json_line
from rig.waiting import wait_for

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it looks at processes of other accounts"),
    pytest.mark.skipif(archive() is None, reason="Filebeat is not built: obsctl artifacts build"),
]


class World:
    """The parts, and the fleet that they are."""

    def __init__(self, pipeline: Pipeline, host: LogHost) -> None:
        self.host = host
        world = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(404)
                self.send_header("X-Balancer", "node1")
                self.send_header("X-Backend-Server", "node1")
                self.send_header("Content-Length", "0")
                self.end_headers()
                agent = self.headers["User-Agent"]
                world.host.line(json_line(1, uri=self.path, user_agent=agent).replace(": ", ":"))

            def log_message(self, *_arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.fleet = Fleet(
            vip=Vip(address="127.0.0.1", port=self._server.server_port),
            hosts=(
                Host(
                    name="node1",
                    address="127.0.0.1",
                    groups=("lb", "backend", "filebeat", "kafka"),
                    kafka=KafkaNode(node_id=1, broker_port=pipeline.kafka.port),
                ),
            ),
            alerter=Alerter(access_topic=pipeline.access),
            database=Database(
                host="127.0.0.1",
                port=pipeline.mariadb.port,
                name=pipeline.database,
                reader_user="obs_consumer",
                reader_password=f"file:{pipeline.folder}/password",
            ),
        )

    def close(self) -> None:
        """End the balancer."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def world(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    # Not below pytest's own folder, which other accounts cannot enter.
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    topics = {"filebeat_topic_access": pipeline.access, "filebeat_topic_error": pipeline.error}
    host = LogHost(folder, unpack(folder), filebeat_kafka_hosts=[pipeline.kafka.bootstrap], **topics)
    monkeypatch.setattr(ssh, "run", host.run)
    monkeypatch.setattr(collect, "command", host.command)
    made = World(pipeline, host)
    try:
        host.write("access.log", "error.log")
        host.ship()
        yield made
    finally:
        made.close()
        host.close()
        shutil.rmtree(folder)


def test_a_line_is_followed_and_the_first_hop_that_it_misses_is_named(world: World, pipeline: Pipeline) -> None:
    consumer = pipeline.start()
    seen = follow(world.fleet, deadline_s=60)
    assert judge_logs(world.fleet, seen) == []
    (row,) = describe_lines(world.fleet, seen)
    assert (row["host"], row["state"], row["hop"]) == ("node1", "ok", "row")
    times = [row["hops"][hop] for hop in ("file", "filebeat", "kafka", "row")]
    assert times == sorted(times)

    traced = trace(world.fleet, number=3, deadline_s=60)
    assert [hop["lines"] for hop in describe_hops(traced)] == [3] * 5

    passive = collect.collect_passive(world.fleet)
    assert judge_logs(world.fleet, passive) == []
    # All its lines are those of obsctl, which are no traffic.
    assert passive.hosts[0].last.newest_line is None

    consumer.process.terminate()
    consumer.process.wait(30)
    assert codes(world, 3) == {"LOGS_NOT_STORED"}
    pipeline.start()

    world.host.signal(signal.SIGSTOP)
    assert codes(world, 3) == {"LOGS_NOT_READ", "LOGS_SHIPPER_SILENT"}
    world.host.signal(signal.SIGCONT)
    # Six lines, each once: nothing that stayed was lost.
    pipeline.wait_kept(6)


def test_a_newest_line_without_a_row_is_found(
    world: World, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.host.line(json_line(1, user_agent="curl").replace(": ", ":"))
    monkeypatch.setattr("obsctl.checks.logs.judge.LATE_S", 0)
    waiting = wait_for_newest(world, False)
    assert {finding.code for finding in judge_logs(world.fleet, waiting)} == {"LOGS_ROW_MISSING"}
    pipeline.start()
    assert judge_logs(world.fleet, wait_for_newest(world, True)) == []


def wait_for_newest(world: World, stored: bool) -> Any:
    """Return what is seen once all was delivered, and the newest line is stored or not."""

    def look() -> Any:
        seen = collect.collect_passive(world.fleet)
        (host,) = seen.hosts
        delivered = host.second is None and host.last.events is not None and host.last.newest_line is not None
        return seen if delivered and host.newest_stored is stored else None

    return wait_for("the newest line", look, seconds=60, every=0.2)


def codes(world: World, deadline_s: float) -> set[str]:
    seen = follow(world.fleet, deadline_s=deadline_s)
    return {finding.code for finding in judge_logs(world.fleet, seen)}
