"""What the roles nginx, backend, keepalived and filebeat promise, on the hosts they made."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
import uuid

import pytest

from tests.lab.conftest import NODES, VIP, Fleet, Probe, get, wait_for

#: Counts in every log file of a host, the compressed ones included.
_ALL_FILES = "for f in /var/log/nginx/access.log*; do gzip -dcf \"$f\"; done | grep -c '{marker}' || true"


def _rows(fleet: Fleet, marker: str) -> int:
    return fleet.number(f"SELECT COUNT(*) FROM access_log WHERE uri LIKE '/{marker}%'")


def _lines(fleet: Fleet, host: str, marker: str) -> int:
    return int(fleet.ssh(host, "sh", "-c", _ALL_FILES.format(marker=marker)))


class Steady:
    """Requests through the VIP on kept connections, ``rate`` a second in all, until stopped; counts the answers."""

    THREADS = 4

    def __init__(self, marker: str, rate: float) -> None:
        self.answered = 0
        self._marker, self._pause = marker, self.THREADS / rate
        self._stop, self._lock = threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(self.THREADS)]

    def __enter__(self) -> Steady:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, number: int) -> None:
        with contextlib.closing(http.client.HTTPConnection(VIP, timeout=5)) as connection:
            due, count = time.monotonic(), 0
            while not self._stop.wait(max(0.0, due - time.monotonic())):
                connection.request("GET", f"/{self._marker}?t={number}&n={count}")
                connection.getresponse().read()
                due, count = due + self._pause, count + 1
                with self._lock:
                    self.answered += 1


def test_five_rotations_under_200_lines_a_second_lose_nothing(healthy: Fleet) -> None:
    marker = f"rotate-{uuid.uuid4().hex}"
    holder = healthy.holder()
    assert holder is not None
    with Steady(marker, rate=200) as traffic:
        for _ in range(5):
            time.sleep(1)
            healthy.ssh(holder, "logrotate", "--force", "/etc/logrotate.d/nginx")
        time.sleep(2)
    assert traffic.answered > 1000
    assert _lines(healthy, holder, marker) == traffic.answered
    assert int(healthy.ssh(holder, "sh", "-c", "ls /var/log/nginx/access.log*.gz | wc -l")) >= 3
    wait_for("every line is a row", lambda: _rows(healthy, marker) == traffic.answered, seconds=30)
    time.sleep(3)
    assert _rows(healthy, marker) == traffic.answered


def test_a_lost_registry_resends_everything_and_changes_no_row_and_no_rollup(healthy: Fleet) -> None:
    marker = f"resend-{uuid.uuid4().hex}"
    # On node2 itself, so that its files hold lines, whichever node has the VIP.
    healthy.ssh("node2", "sh", "-c", f"for n in $(seq 200); do curl -s -o /dev/null 127.0.0.1/{marker}?n=$n; done")
    wait_for("200 rows", lambda: _rows(healthy, marker) == 200, seconds=30)
    rows = "SELECT COUNT(*) FROM access_log WHERE host = 'node2'"
    sums = (
        "SELECT minute, host, route_class, status_class, SUM(requests), SUM(bytes) FROM rollup_minute "
        "WHERE host = 'node2' GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"
    )
    behind = "SELECT COALESCE(SUM(next_offset), 0) FROM log_source WHERE topic = 'nginxlog'"
    before, before_sums, position = healthy.number(rows), healthy.rows(sums), healthy.number(behind)
    files = "for f in /var/log/nginx/access.log /var/log/nginx/access.log.1; do cat $f 2>/dev/null; done | wc -l"
    resent = int(healthy.ssh("node2", "sh", "-c", files))
    assert resent >= 200

    healthy.ssh("node2", "systemctl", "stop", "filebeat")
    healthy.ssh("node2", "rm", "-rf", "/var/lib/filebeat/registry")
    healthy.ssh("node2", "systemctl", "start", "filebeat")
    wait_for("everything is read again", lambda: healthy.number(behind) >= position + resent, seconds=60)
    time.sleep(3)
    assert healthy.number(rows) == before
    assert healthy.rows(sums) == before_sums
    recount = "SELECT COUNT(*) FROM access_log WHERE host = 'node2' AND ts >= NOW() - INTERVAL 1 DAY"
    counted = (
        "SELECT COALESCE(SUM(requests), 0) FROM rollup_minute WHERE host = 'node2' AND minute >= NOW() - INTERVAL 1 DAY"
    )
    assert healthy.number(recount) == healthy.number(counted)


def test_the_vip_follows_a_working_nginx(healthy: Fleet) -> None:
    holder = healthy.holder()
    assert holder is not None
    healthy.ssh(holder, "systemctl", "stop", "nginx")
    try:
        wait_for("another holder", lambda: healthy.holder() not in (None, holder), seconds=15)
        status, headers = get("/")
        assert status == 200
        assert headers["x-balancer"] != holder
    finally:
        healthy.ssh(holder, "systemctl", "start", "nginx")
    moved_to = healthy.holder()
    time.sleep(8)
    assert healthy.holder() == moved_to, "nopreempt: the return of the first holder must not move the VIP again"


def test_a_back_end_that_says_nothing_costs_no_request_two_seconds(healthy: Fleet) -> None:
    """Packets to one back end vanish, as those to a host without power do."""
    silent = next(name for name in NODES if name != healthy.holder())
    drop = "table inet drill { chain input { type filter hook input priority -300; tcp dport 8080 drop; }; }"
    healthy.ssh(silent, "nft", drop)
    try:
        with Probe(f"silent-{uuid.uuid4().hex}", hz=20, timeout=5) as probe:
            time.sleep(12)
    finally:
        healthy.ssh(silent, "nft", "delete", "table", "inet", "drill")
        healthy.wait_balanced()
    tries = probe.tries()
    assert len(tries) > 200
    assert [one for one in tries if one.status is None] == []
    assert max(one.took for one in tries) < 2.0
    # The connect time-out was met at least once, or the drill tested nothing.
    assert max(one.took for one in tries) > 0.9


def test_a_killed_nginx_is_started_again(healthy: Fleet) -> None:
    node = next(name for name in NODES if name != healthy.holder())
    healthy.ssh(node, "systemctl", "kill", "--signal=KILL", "nginx")
    wait_for("nginx is back", lambda: healthy.ssh(node, "systemctl", "is-active", "nginx", check=False) == "active\n")


def test_a_killed_keepalived_is_started_again_and_leaves_one_holder(healthy: Fleet) -> None:
    holder = healthy.holder()
    assert holder is not None
    show = ("systemctl", "show", "--property=ActiveState,MainPID", "keepalived")
    killed = set(healthy.ssh(holder, *show).splitlines())
    healthy.ssh(holder, "systemctl", "kill", "--signal=KILL", "keepalived")

    def is_back() -> bool:
        shown = set(healthy.ssh(holder, *show).splitlines())
        return "ActiveState=active" in shown and not killed <= shown

    # The address is kept for two seconds, another node takes it within four.
    wait_for("keepalived is back", is_back, seconds=15)
    wait_for("one holder", healthy.holder, seconds=15)
    time.sleep(5)
    assert healthy.holder() is not None, "none, or an address that was left behind"
    assert healthy.obsctl("verify", "vip", "-o", "json").code == 0


@pytest.mark.parametrize(
    ("sent", "accepted"),
    [("abcdefgh", True), ("A1._-" + "x" * 59, True), ("short", False), ("x" * 65, False), ("has blank 1", False)],
)
def test_a_request_id_is_accepted_only_when_well_formed(fleet: Fleet, sent: str, accepted: bool) -> None:
    _, headers = get("/", headers={"X-Request-ID": sent})
    assert (headers["x-request-id"] == sent) is accepted
    assert 8 <= len(headers["x-request-id"]) <= 64


def test_the_check_listener_is_on_loopback_and_leaves_no_line(fleet: Fleet) -> None:
    with pytest.raises(OSError, match=r"refused|timed out|route|unreachable"):
        http.client.HTTPConnection(VIP, 8081, timeout=2).request("GET", "/nginx-health")
    before = fleet.ssh("node1", "sh", "-c", "grep -c nginx-health /var/log/nginx/access.log || true")
    assert fleet.ssh("node1", "curl", "-s", "http://127.0.0.1:8081/nginx-health") == "ok node1\n"
    assert fleet.ssh("node1", "sh", "-c", "grep -c nginx-health /var/log/nginx/access.log || true") == before


def test_a_back_end_says_what_it_did(fleet: Fleet) -> None:
    marker = uuid.uuid4().hex
    assert get("/status/418", headers={"X-Request-ID": marker})[0] == 418
    entries = [
        json.loads(line)
        for node in NODES
        for line in fleet.ssh(
            node, "sh", "-c", f"journalctl -u obs-backend -o cat --since -1min | grep {marker} || true"
        ).splitlines()
    ]
    assert [(e["method"], e["path"], e["status"]) for e in entries] == [("GET", "/status/418", 418)]
    began = time.monotonic()
    _, headers = get("/slow?ms=300")
    assert time.monotonic() - began >= 0.3
    assert int(headers["x-response-time"].removesuffix("ms")) >= 300
    assert get("/slow?ms=999999")[0] == 400
