"""A line followed through the whole fleet; what is said where it stays stands in ``catalogue.py``."""

from __future__ import annotations

import time

from tests.lab.conftest import Fleet, wait_for

LOG = "/var/log/nginx/access.log"


def test_a_line_of_each_balancer_is_followed_and_traced(healthy: Fleet) -> None:
    answer = healthy.obsctl("verify", "logs", "-o", "json")
    assert answer.code == 0, answer.said
    lines = answer.json["data"]["lines"]
    assert {line["host"] for line in lines} == {line["backend"] for line in lines} == {"node1", "node2", "node3"}
    assert {(line["state"], line["hop"]) for line in lines} == {("ok", "alerter")}
    # All hosts have this machine's clock.
    assert all(abs(line["clock_s"]) <= line["clock_error_s"] + 0.01 for line in lines)
    traced = healthy.obsctl("trace", "-n", "6", "-o", "json")
    assert traced.code == 0, traced.said
    assert [(hop["hop"], hop["lines"]) for hop in traced.json["data"]["hops"]] == [
        (hop, 6) for hop in ("nginx", "file", "filebeat", "kafka", "row")
    ]


def test_lines_in_kafka_are_not_late_when_filebeat_no_longer_records_its_position(healthy: Fleet) -> None:
    """A log that vanishes for one scan of its directory: Filebeat reads on, but its entry does not advance."""
    ask = ("curl", "-s", "-o", "/dev/null", "http://127.0.0.1/")
    healthy.ssh("node3", *ask)
    healthy.wait_healthy()
    try:
        healthy.ssh("node3", "sh", "-c", f"mv {LOG} /var/log/nginx/hidden && sleep 3; mv /var/log/nginx/hidden {LOG}")
        time.sleep(3)
        healthy.ssh("node3", *ask)
        inode = healthy.ssh("node3", "stat", "-c", "%i", LOG).strip()
        last = f"grep native::{inode}- /var/lib/filebeat/registry/filebeat/log.json | tail -n 1"
        assert '"cursor":null' in wait_for("an entry", lambda: healthy.ssh("node3", "sh", "-c", last))
        # Above what a line may take.
        time.sleep(12)
        report = healthy.obsctl("health", "-o", "json")
        assert report.code == 0, report.out
    finally:
        healthy.ssh("node3", "systemctl", "restart", "filebeat")
