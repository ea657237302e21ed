"""A rule's condition made on the wire: each hop's time, the hop that fails, and people's statistics without a trace."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from tests.lab.conftest import Fleet, Robot, get

#: Those of the default rules that requests can make true within the default deadline.
TESTABLE = {
    "client-request-rate", "client-errors", "client-error-share", "server-error-share", "backend-error-share",
    "slow-requests",
}  # fmt: skip
HOPS = ("answered", "shipped", "read", "fired", "decided", "accepted")


def rows(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in report["data"]["rules"]}


@contextlib.contextmanager
def _visitors() -> Iterator[None]:
    """People who ask for pages meanwhile, too few for any rule."""
    stopping = threading.Event()

    def ask() -> None:
        number = 0
        while not stopping.wait(1.5):
            number += 1
            get(f"/people?n={number}")

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


def test_all_rules_pass_and_leave_nothing_behind(healthy: Fleet, robot: Robot) -> None:
    robot.reset()
    begun = healthy.number("SELECT UNIX_TIMESTAMP()")
    with _visitors():
        answer = healthy.obsctl("alert", "test", "--all-rules", "-o", "json", timeout=300)
    assert answer.code == 0, answer.said
    found = rows(answer.json)
    assert {name for name, row in found.items() if row["passed"]} >= TESTABLE
    assert not [name for name, row in found.items() if row["passed"] is False]
    assert found["most-requests-fail"]["passed"] is None, "it has to last for three minutes"
    for name in TESTABLE:
        assert all(found[name]["hops"][hop] is not None for hop in HOPS), name
    titles = [str(message) for message in robot.received() if message.get("channel") == "dingtalk"]
    # An alert that fired before may end meanwhile.
    assert not [title for title in titles if "[TEST]" not in title and "[RESOLVED]" not in title], "nothing real fired"
    assert any("[TEST]" in title for title in titles)
    since = f"ts > FROM_UNIXTIME({begun}) - INTERVAL 5 SECOND"
    marked = healthy.number(f"SELECT COUNT(*) FROM access_log WHERE {since} AND user_agent = 'obsctl-alert-test'")
    assert marked == 0
    assert healthy.number(f"SELECT COUNT(*) FROM access_log WHERE {since} AND uri LIKE '/people?%'") > 0
    assert healthy.number(f"SELECT COUNT(*) FROM quarantine WHERE stored_at > FROM_UNIXTIME({begun})") == 0
    page = healthy.alerter_page()
    assert page["firing"] == 0
    assert page["tests"]["runs"]
    metrics = healthy.ssh("app1", "curl", "-s", "http://127.0.0.1:9600/metrics")
    assert 'obsctl_consumer_lines_total{outcome="test"}' in metrics


def test_a_shipper_that_is_stopped_is_the_hop_that_fails(healthy: Fleet) -> None:
    holder = healthy.holder()
    assert holder is not None
    healthy.ssh(holder, "systemctl", "stop", "filebeat")
    try:
        answer = healthy.obsctl("alert", "test", "--rule", "client-errors", "--deadline", "10s", "-o", "json")
    finally:
        healthy.ssh(holder, "systemctl", "start", "filebeat")
    assert answer.code == 2, answer.said
    assert answer.codes == {"ALERT_TEST_NOT_SHIPPED"}
    assert rows(answer.json)["client-errors"]["failed_hop"] == "shipped"


def test_a_channel_that_refuses_is_the_hop_that_fails(healthy: Fleet, robot: Robot) -> None:
    robot.behave("310000")
    answer = healthy.obsctl("alert", "test", "--rule", "client-errors", "--deadline", "20s", "-o", "json")
    assert answer.code == 2, answer.said
    assert answer.codes == {"ALERT_TEST_NOT_ACCEPTED"}
    assert "ops-dingtalk: refused" in answer.json["findings"][0]["summary"]


def test_a_balancer_that_knows_no_secret_gets_one_request(healthy: Fleet) -> None:
    """The secret is kept from nginx on the holder alone, by the file that holds it."""
    holder = healthy.holder()
    assert holder is not None
    path = "/etc/nginx/obscraft-test.conf"
    healthy.ssh(holder, "sh", "-c", f"cp -p {path} {path}.kept && sed -E -i 's/[0-9a-f]{{64}}/other/' {path}")
    healthy.ssh(holder, "systemctl", "reload", "nginx")
    try:
        answer = healthy.obsctl("alert", "test", "--rule", "client-errors", "-o", "json")
    finally:
        healthy.ssh(holder, "sh", "-c", f"mv {path}.kept {path}")
        healthy.ssh(holder, "systemctl", "reload", "nginx")
    assert answer.code == 2, answer.said
    (finding,) = answer.json["findings"]
    assert (finding["code"], finding["evidence"]["sent"]) == ("ALERT_TEST_NOT_ANSWERED", 1)
