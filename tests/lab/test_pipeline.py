"""A line's way through the whole fleet: every line is one row, whatever is killed on the way."""

from __future__ import annotations

import json
import select
import signal
import subprocess
import time
import uuid
from pathlib import Path

import pytest

from tests.lab.conftest import BIN, INVENTORY, NODES, ROOT, Fleet, Probe, get, wait_for

ADVERT_INTERVAL_S = 1.0


def _rows_with(fleet: Fleet, marker: str) -> int:
    return fleet.number(f"SELECT COUNT(*) FROM access_log WHERE uri LIKE '/{marker}%'")


def _lines_with(fleet: Fleet, marker: str) -> int:
    script = f"cat /var/log/nginx/access.log* 2>/dev/null | grep -c '/{marker}' || true"
    return sum(int(fleet.ssh(node, "sh", "-c", script)) for node in NODES)


def test_each_request_is_one_row(healthy: Fleet) -> None:
    marker = f"once-{uuid.uuid4().hex}"
    for number in range(90):
        status, headers = get(f"/{marker}?n={number}")
        assert status in (200, 404)
        assert headers["x-backend-server"] in NODES
    wait_for("90 rows", lambda: _rows_with(healthy, marker) == 90, seconds=15)
    time.sleep(2)
    assert _rows_with(healthy, marker) == 90

    found = healthy.obsctl("search", rf"uri:\/{marker}* AND status:<500", "--since", "10m", "-o", "json")
    assert (found.code, found.json["data"]["whole"], len(found.json["data"]["lines"])) == (0, True, 90), found.said
    assert {line["host"] for line in found.json["data"]["lines"]} == {healthy.holder()}


def test_a_line_is_followed_as_it_arrives(healthy: Fleet) -> None:
    marker = f"tail-{uuid.uuid4().hex}"
    command = [BIN / "obsctl", "-i", INVENTORY, "-q", "tail", rf"uri:\/{marker}*", "-o", "ndjson"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as following:
        try:
            assert following.stdout is not None
            # It begins with what arrives after its start, which is some seconds away.
            stop = time.monotonic() + 60
            while not select.select([following.stdout], [], [], 0.5)[0]:
                assert time.monotonic() < stop
                get(f"/{marker}")
            line = json.loads(following.stdout.readline())
            assert (line["host"], line["method"]) == (healthy.holder(), "GET")
        finally:
            following.send_signal(signal.SIGINT)
        assert following.wait(20) == 130


def test_an_error_line_becomes_a_row(healthy: Fleet) -> None:
    before = healthy.number("SELECT COUNT(*) FROM error_log")
    node = healthy.holder() or NODES[0]
    healthy.ssh(node, "systemctl", "stop", "obs-backend")
    try:
        for _ in range(60):
            get("/")
        wait_for("an error line", lambda: healthy.number("SELECT COUNT(*) FROM error_log") > before, seconds=20)
    finally:
        healthy.ssh(node, "systemctl", "start", "obs-backend")
        healthy.wait_balanced()


def test_the_vip_moves_when_its_holder_dies(healthy: Fleet) -> None:
    marker = f"kill-{uuid.uuid4().hex}"
    holder = healthy.holder()
    assert holder is not None
    # Skew time of RFC 3768: (256 - priority) / 256 of a second; the slowest backup has the lowest priority.
    bound = 3 * ADVERT_INTERVAL_S + 1.0 + 0.5 + Probe.TIMEOUT_S
    try:
        with Probe(marker) as probe:
            time.sleep(3)
            assert healthy.obsctl("lab", "kill", holder).code == 0
            time.sleep(bound + 2)
        outage = probe.outage()
        said = f"the VIP was away for {outage:.2f} s, allowed {bound:.2f} s\n{_what_keepalived_says(healthy)}"
        assert 1 < outage <= bound, said
        assert healthy.holder() not in (None, holder)

        slow = [took for took in (_timed(f"/{marker}-after") for _ in range(40)) if took > 2.0]
        assert not slow, f"requests after the move took {slow} s although a back end died with the holder"
    finally:
        assert healthy.obsctl("lab", "start", holder).code == 0
    healthy.wait_healthy()
    answered = sum(1 for one in probe.tries() if one.status is not None)
    lines = _lines_with(healthy, marker)
    wait_for("every line is a row", lambda: _rows_with(healthy, marker) == lines, seconds=60)
    time.sleep(3)
    assert _rows_with(healthy, marker) == lines
    # Nginx answers first and writes its line afterwards: those in flight at the kill may lack theirs.
    in_flight = 5
    assert answered + 40 - lines <= in_flight


def _what_keepalived_says(fleet: Fleet) -> str:
    """Return the balancers' own words on the last minute."""
    command = ("journalctl", "-u", "keepalived", "--since", "-1min", "--no-pager", "-o", "short-precise")
    return "\n".join(fleet.ssh(node, *command, check=False) for node in NODES)


def _timed(path: str) -> float:
    began = time.monotonic()
    get(path)
    return time.monotonic() - began


def _coordinator(fleet: Fleet) -> str:
    """The consumer group's coordinator, whose loss hurts most; another one if that is node1, where the lines begin."""
    groups = fleet.obsctl("kafka", "status", "-o", "json").json["data"]["groups"]
    (number,) = [group["coordinator"] for group in groups if group["group"] == "obsctl-consumer"]
    return f"node{number}" if number != 1 else "node3"


def test_a_real_log_survives_the_loss_of_every_part(healthy: Fleet, real_logs: Path) -> None:
    """10,000 real lines at 200 a second; consumer, broker and database are each killed and started meanwhile."""
    stored = (
        "SELECT (SELECT COUNT(*) FROM access_log WHERE log_format = 'combined') + "
        "(SELECT COUNT(*) FROM quarantine WHERE log_format = 'combined')"
    )
    before = healthy.number(stored)
    assert before >= 0
    broker = _coordinator(healthy)
    replay = subprocess.Popen(
        [BIN / "obsctl", "lab", "replay", real_logs / "apache_logs.gz", "--host", "node1", "--rate", "200"],
        cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    time.sleep(5)
    healthy.ssh("app1", "systemctl", "kill", "-s", "KILL", "obsctl-consumer")
    time.sleep(6)
    for host in (broker, "db1"):
        assert healthy.obsctl("lab", "kill", host).code == 0
        time.sleep(6)
        assert replay.poll() is None, "it ended before the last part was lost"
        assert healthy.obsctl("lab", "start", host).code == 0
        time.sleep(4)
    _, said = replay.communicate(timeout=180)
    assert replay.returncode == 0, said
    wait_for("10,000 lines", lambda: healthy.number(stored) == before + 10_000, seconds=120)
    time.sleep(3)
    assert healthy.number(stored) == before + 10_000
    both = "SELECT COUNT(*) FROM access_log a JOIN quarantine q ON q.line_id = a.line_id"
    assert healthy.number(both) == 0
    healthy.wait_healthy()


@pytest.mark.long
def test_the_whole_fleet_comes_back_by_itself(healthy: Fleet) -> None:
    hosts = (*NODES, "db1", "app1")
    assert healthy.obsctl("lab", "kill", *hosts).code == 0
    assert healthy.obsctl("lab", "start", *hosts).code == 0
    healthy.wait_healthy(seconds=180)
