"""Commands that look leave no trace of themselves in what they look at."""

from __future__ import annotations

from tests.lab.conftest import NODES, Fleet, wait_for


def test_looking_at_an_idle_fleet_leaves_it_idle(healthy: Fleet) -> None:
    """No look makes a row, and the lines of verify lb are marked."""
    rows = "SELECT COUNT(*) FROM access_log WHERE user_agent = 'obsctl'"
    before = healthy.number(rows)
    lines = "cat /var/log/nginx/access.log | wc -l"
    written = {node: int(healthy.ssh(node, "sh", "-c", lines)) for node in NODES}
    for command in (["verify", "vip"], ["health"]):
        assert healthy.obsctl(*command, "-o", "json").code == 0
    assert {node: int(healthy.ssh(node, "sh", "-c", lines)) for node in NODES} == written
    report = healthy.obsctl("verify", "lb", "-o", "json")
    assert report.code == 0, report.out
    assert report.json["data"]["counted_as_traffic"] is False
    holder = healthy.holder()
    assert holder is not None
    marked = 'cat /var/log/nginx/access.log* | grep -a -c \'^{"obscraft_test":"probe-\''
    assert int(healthy.ssh(holder, "sh", "-c", marked, check=False)) >= 600
    wait_for("the lag is read", lambda: healthy.obsctl("health", "-o", "json").code == 0, seconds=30)
    assert healthy.number(rows) == before
