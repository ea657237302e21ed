"""When the watch restarts Filebeat: its decisions on the pages of a Filebeat that is played."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from rig.ending import with_us
from rig.rendered_role import RenderedNode

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = ROOT / "roles/filebeat/files/obs-filebeat-watch"
#: Seconds in which the queue must have released nothing here: five looks after the first.
LIMIT = 10
STILL = LIMIT // 2 + 1
#: Looks in ten minutes.
TEN_MINUTES = 300

Page = dict[str, Any] | None


def page(
    released: int, acked: int, *, active: int = 50, failed: int = 0, process: str = "a", newer: bool = False
) -> Page:
    """Return Filebeat's counters as 7.17 has them, or as 8.17 has them."""
    output = {"acked": acked, "active": 7, "batches": 3, "dropped": 1, "duplicates": 0, "failed": failed, "total": 99}
    queue: dict[str, Any] = {"acked": released, "max_events": 8192}
    info = {"ephemeral_id": process, "uptime": {"ms": 1}, "version": "7.17.28"}
    more: dict[str, Any] = {}
    if newer:
        info["name"] = "filebeat"
        output["dead_letter"] = 0
        queue["added"] = queue["consumed"] = queue["removed"] = {"bytes": 0, "events": 4}
        queue["filled"] = {"bytes": 0, "events": 4, "pct": 0.25}
        more = {"latency": {"histogram": {"count": 0, "max": 0}}}
    return {
        "beat": {"cpu": {"total": {"value": 30}}, "info": info},
        "filebeat": {"events": {"active": 4, "added": 5, "done": 1}, "harvester": {"open_files": 1}},
        "libbeat": {
            "config": {"module": {"running": 0}},
            "output": {
                "events": output,
                "read": {"bytes": 0, "errors": 0},
                "type": "kafka",
                "write": {"bytes": 430, "errors": 0, **more},
            },
            "pipeline": {
                "clients": 2,
                "events": {"active": active, "dropped": 0, "failed": 0, "published": 9, "retry": 4},
                "queue": queue,
            },
        },
        "registrar": {"states": {"current": 1}},
    }


def frozen(looks: int, *, by: int = 10, **other: Any) -> list[Page]:
    """Return so many looks at a queue that releases nothing; Kafka acknowledges ``by`` lines between two of them."""
    return [page(1000, 1000 + by * look, **other) for look in range(looks)]


class Watched:
    """A Filebeat that is played, and the watch of it."""

    def __init__(self, folder: Path) -> None:
        self._stubs, self._calls = folder / "bin", folder / "calls"
        self._stubs.mkdir()
        self._stub("sleep", "exit 0")
        self.restarting("exit 0")

    def restarting(self, outcome: str) -> None:
        """Say what systemctl does."""
        self._stub("systemctl", f'echo "$@" >>{self._calls}; {outcome}')

    def _stub(self, name: str, does: str) -> None:
        path = self._stubs / name
        path.write_text(f"#!/bin/sh\n{does}\n")
        path.chmod(0o755)

    def watch(self, pages: Sequence[Page], shell: str = "sh", limit: int = LIMIT) -> tuple[list[str], str]:
        """Show the watch one page a look, none for no answer; return how systemctl was called, and what was said."""
        left, seen_all = iter(pages), threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                one = next(left, seen_all)
                if one is seen_all:
                    seen_all.set()
                if not isinstance(one, dict):
                    self.close_connection = True
                    return
                # As Filebeat writes it: in one line, keys in the order of their names.
                body = json.dumps(one, sort_keys=True, separators=(",", ":")).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_arguments: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        command = with_us([shell, str(SCRIPT), str(server.server_port), str(limit)])
        with subprocess.Popen(
            command, env={**os.environ, "PATH": f"{self._stubs}:{os.environ['PATH']}"},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        ) as process:  # fmt: skip
            assert seen_all.wait(60)
            process.terminate()
            said, _ = process.communicate()
        server.shutdown()
        server.server_close()
        thread.join()
        return self._calls.read_text().splitlines() if self._calls.exists() else [], said


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


RESTARTED = ["try-restart filebeat"]


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize("newer", [False, True])
def test_a_lost_batch_is_healed_once_and_said_in_one_line(watched: Watched, shell: str, newer: bool) -> None:
    calls, said = watched.watch(frozen(STILL, newer=newer), shell)
    assert calls == RESTARTED
    assert said.splitlines() == [
        "Restarted Filebeat, whose Kafka client has lost a batch: for 10 s the queue has released no line after the "
        "first 1000, 50 lines wait, and Kafka has acknowledged 50 lines behind them. They are sent again, and stored "
        "once."
    ]


def test_also_when_the_queue_is_full_since_long(watched: Watched) -> None:
    """Then the output's counter does not grow either: what counts is that it has grown since the queue's last move."""
    calls, _ = watched.watch([page(1000, 1000), *[page(1000, 9192)] * STILL])
    assert calls == RESTARTED


_MOVING = [page(1000 + look, 1000 + look) for look in range(3 * STILL)]
QUIET: dict[str, list[Page]] = {
    "not long enough": frozen(STILL - 1),
    "an outage of Kafka": frozen(3 * STILL, by=0),
    "an outage that began while lines were under way": [
        page(999, 999),
        page(1000, 1200),
        *[page(1000, 1200)] * 3 * STILL,
    ],
    "Kafka refuses lines": [page(1000, 1000 + 10 * look, failed=look) for look in range(3 * STILL)],
    "lines move": _MOVING,
    "no lines": frozen(3 * STILL, by=0, active=0),
    "nothing under way for a moment": [*frozen(STILL - 1), page(1000, 2000, active=0), *frozen(STILL - 1)],
    "a new process": [*frozen(STILL - 1), *frozen(STILL - 1, process="b")],
    "counters that went back": [*frozen(STILL - 1), *[page(10, 10 + look) for look in range(STILL - 1)]],
    "a page that does not answer": [*[None] * 3 * STILL],
}


@pytest.mark.parametrize("case", QUIET)
def test_filebeat_is_left_alone(watched: Watched, case: str) -> None:
    assert watched.watch(QUIET[case]) == ([], "")


def test_a_look_without_an_answer_ends_no_observation(watched: Watched) -> None:
    looks = frozen(STILL)
    calls, _ = watched.watch([*looks[:3], None, *looks[3:]])
    assert calls == RESTARTED


def test_a_new_process_is_watched_as_the_first(watched: Watched) -> None:
    calls, _ = watched.watch([*frozen(STILL - 1), *frozen(STILL, process="b")])
    assert calls == RESTARTED


@pytest.mark.parametrize(("looks", "restarts"), [(TEN_MINUTES - 1, 1), (TEN_MINUTES, 2)])
def test_it_is_restarted_once_in_ten_minutes(watched: Watched, looks: int, restarts: int) -> None:
    """Also when the restart has not helped."""
    watched.restarting("exit 1")
    calls, said = watched.watch(frozen(STILL + looks))
    assert calls == RESTARTED * restarts
    assert said.count("Could not restart Filebeat") == restarts


@pytest.mark.parametrize("missing", ["ephemeral_id", "acked", "failed", "active", "queue"])
def test_a_page_with_other_fields_is_said_once(watched: Watched, missing: str) -> None:
    def without(one: Any) -> Any:
        if not isinstance(one, dict):
            return one
        return {key: without(value) for key, value in one.items() if key != missing}

    calls, said = watched.watch([without(one) for one in frozen(3 * STILL)])
    assert calls == []
    assert said == "Filebeat's stats page has other fields than expected: it is not watched\n"


def test_the_unit_runs_it_on_the_port_of_the_page(tmp_path: Path) -> None:
    inventory = tmp_path / "hosts.json"
    variables = {"filebeat_http_port": 5099, "filebeat_watch_seconds": 45}
    inventory.write_text(json.dumps({"filebeat": {"hosts": {"node1": variables}}}))
    unit = RenderedNode(inventory, "node1", "filebeat").file("filebeat-watch.service.j2").splitlines()
    assert "ExecStart=/usr/libexec/obs-filebeat-watch 5099 45" in unit
    assert "Restart=always" in unit


@pytest.mark.parametrize(("major", "filtered"), [("7", False), ("8", True), ("9", True)])
def test_a_systemd_without_groups_of_system_calls_is_given_none(major: str, filtered: bool) -> None:
    facts = {"os_family": "RedHat", "distribution_major_version": major}
    unit = RenderedNode(ROOT / "inventories/lab", "node1", "filebeat", facts=facts).file("filebeat-watch.service.j2")
    assert ("SystemCallFilter=" in unit) is filtered
