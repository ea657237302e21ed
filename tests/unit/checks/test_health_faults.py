"""Whole faults as `obsctl health` sees them: the top line, what means itself, and what the layers say."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from tests.unit.checks.fleet_answers import FLEET, WELL, killed, refusing_ssh, seen_with, waiting_consumer, with_unit

from obsctl.checks.health.check import health_check
from obsctl.checks.health.judge import judge_database
from obsctl.checks.health.snapshot import AlerterPage, ChannelOnPage, DatabaseProbe, Disk, HealthSnapshot
from obsctl.checks.kafka.snapshot import MUTE, REFUSED
from obsctl.cli.checking import report_of
from obsctl.cli.reporting import Start
from obsctl.core.consumer_page import Note
from obsctl.core.report import Finding, Severity, roots
from obsctl.fleet.model import Fleet, Ssh
from obsctl.render import render

NOW = datetime(2026, 1, 2, 14, 7, 30, tzinfo=UTC)
CHECK = health_check()


def _findings(seen: HealthSnapshot, fleet: Fleet = FLEET) -> list[Finding]:
    return CHECK.findings(fleet, seen)


def _top(seen: HealthSnapshot) -> str:
    return CHECK.headline(FLEET, seen, _findings(seen), NOW)


def _layers(seen: HealthSnapshot, fleet: Fleet = FLEET) -> dict[str, str]:
    return {row["layer"]: row["status"] for row in CHECK.describe(fleet, seen)["layers"]}


def _detail(seen: HealthSnapshot, layer: str) -> str:
    return next(row["detail"] for row in CHECK.describe(FLEET, seen)["layers"] if row["layer"] == layer)


def test_the_healthy_fleet_is_well() -> None:
    assert _findings(WELL) == []
    assert _top(WELL) == ""
    assert set(_layers(WELL).values()) == {"ok"}
    assert _detail(WELL, "hosts") == "5 of 5 answer over ssh, least free disk 60% (/ on app1)"


def test_a_killed_host_is_one_cause() -> None:
    seen = killed("node2")
    (root,) = roots(_findings(seen))
    assert (root.code, root.object, root.severity) == ("HEALTH_HOST_DOWN", "host/node2", Severity.CRITICAL)
    assert _top(seen).startswith("node2 is down · 4 findings follow from it · writes wait on 1 of 3 partitions")
    assert _detail(seen, "nginx") == "2 of 3 answer"
    assert _detail(seen, "filebeat") == "2 of 3 running, node2 not asked"


def test_two_killed_hosts_are_one_line() -> None:
    seen = killed("node1", killed("node2"))
    assert [f.object for f in roots(_findings(seen))] == ["host/node1", "host/node2"]
    assert _top(seen).startswith("node1 and node2 are down · 8 findings follow from them · writes stop on 3 of 3")


@pytest.mark.parametrize(
    "why",
    [
        "ssh: connect to host 198.18.0.11 port 22: Connection refused",
        "Host key verification failed.",
        "ops@198.18.0.11: Permission denied (publickey).",
        "kex_exchange_identification: Connection closed by remote host",
        "",
    ],
)
def test_a_host_that_answers_and_refuses_ssh_is_not_down(why: str) -> None:
    seen = refusing_ssh("node1", why)
    (root,) = roots(_findings(seen))
    assert (root.code, root.severity) == ("HEALTH_HOST_NOT_ASKED", Severity.UNKNOWN)
    assert "its nginx, its back end, its broker answered" in root.summary
    assert "198.18.0.11" in root.hint
    assert "ping" not in root.hint
    layers = _layers(seen)
    assert {name for name, status in layers.items() if status == "ok"} == {
        "nginx", "obs-backend", "kafka", "consumer", "alerter", "database",
    }  # fmt: skip
    assert (layers["filebeat"], layers["hosts"]) == ("unknown", "unknown")
    assert _detail(seen, "nginx") == "3 of 3 answer"


def test_words_that_only_a_host_says_that_is_up_are_enough() -> None:
    seen = refusing_ssh("app1", "ssh: connect to host 198.18.0.31 port 22: Connection refused")
    assert [f.code for f in _findings(seen)] == ["HEALTH_HOST_NOT_ASKED"]
    assert (_layers(seen)["consumer"], _layers(seen)["alerter"]) == ("unknown", "unknown")


def test_through_a_jump_host_words_of_ssh_prove_nothing_about_the_host() -> None:
    host = msgspec.structs.replace(FLEET.hosts[4], ssh=Ssh(common_args="-o ProxyJump=bastion"))
    fleet = msgspec.structs.replace(FLEET, hosts=(*FLEET.hosts[:4], host))
    seen = refusing_ssh("app1", "ops@bastion: Permission denied (publickey).")
    (root,) = roots(_findings(seen, fleet))
    assert (root.code, root.severity) == ("HEALTH_HOST_NOT_ASKED", Severity.UNKNOWN)
    assert "is up" not in root.summary
    seen = refusing_ssh("node1", "Permission denied (publickey).")
    assert "HEALTH_HOST_DOWN" not in {f.code for f in _findings(seen, fleet)}, "its services answer"


def test_no_login_anywhere_is_told_once_a_host_and_the_vip_says_what_it_means() -> None:
    seen = WELL
    for host in FLEET.hosts:
        seen = refusing_ssh(host.name, "Host key verification failed.", seen)
    found = _findings(seen)
    assert {f.code for f in roots(found)} == {"HEALTH_HOST_NOT_ASKED"}
    assert {f.code for f in found if f.caused_by} == {"LB_NODE_NOT_ASKED", "VIP_HOLDER_UNKNOWN"}
    assert _detail(seen, "vip") == "198.18.0.100: no balancer could be checked over ssh for the VIP; it answers"
    assert _layers(seen)["database"] == "ok"


@pytest.mark.parametrize(
    ("unit", "parts", "follows"),
    [
        ("nginx", {"node": {"nginx_failure": "no answer in time"}}, ("VIP_NGINX_DOWN",)),
        ("obs-backend", {"backend": {"status": None, "failure": "no answer in time"}}, ("HEALTH_BACKEND_DOWN",)),
        (
            "kafka",
            {"broker": {"failure": "no answer in time", "silence": MUTE}},
            ("KAFKA_BROKER_DOWN", "KAFKA_LEADER_SILENT"),
        ),
        ("filebeat", {"host": {"silent": {"filebeat": 5066}}}, ()),
        ("keepalived", {}, ()),
    ],
)
@pytest.mark.parametrize("stopped", [True, False])
def test_a_unit_that_is_active_and_does_nothing(
    unit: str, parts: dict[str, Any], follows: tuple[str, ...], stopped: bool
) -> None:
    host = parts.get("host", {}) | (with_unit("node3", unit, "active", "T") if stopped else {})
    seen = seen_with("node3", **{**parts, "host": host})
    found = _findings(seen)
    if unit == "keepalived" and not stopped:
        assert found == [], "it has no port: its process alone can tell"
        return
    (root,) = roots(found)
    assert (root.code, root.object) == ("HEALTH_SERVICE_FROZEN", f"{unit}/node3")
    assert root.severity is (Severity.CRITICAL if unit in ("filebeat", "kafka") else Severity.WARNING)
    assert root.hint.startswith(f"on node3: systemctl kill -s CONT {unit}")
    assert f"systemctl restart {unit}" in root.hint
    assert ("its main process is stopped (state T)" in root.summary) == stopped
    assert tuple(f.code for f in found if f.caused_by) == follows
    layer = "vip" if unit == "keepalived" else unit
    assert _layers(seen)[layer] != "ok"
    if unit != "keepalived":
        assert "2 of 3" in _detail(seen, layer)


def test_an_nginx_that_waits_for_a_frozen_back_end_is_not_frozen() -> None:
    seen = seen_with(
        "node3",
        host=with_unit("node3", "obs-backend", "active", "T"),
        backend={"status": None, "failure": "no answer in time"},
    )
    seen = seen_with("node1", seen, node={"nginx_failure": "no answer in time"})
    (root,) = roots(_findings(seen))
    assert (root.code, root.object) == ("HEALTH_SERVICE_FROZEN", "obs-backend/node3")


def test_a_port_that_refuses_is_not_frozen() -> None:
    """As of a broker that starts: its unit is active for seconds before it listens."""
    seen = seen_with("node3", broker={"failure": "connection refused", "silence": REFUSED})
    assert "HEALTH_SERVICE_FROZEN" not in {f.code for f in _findings(seen)}


def test_a_frozen_database_and_its_consumer() -> None:
    seen = msgspec.structs.replace(
        waiting_consumer({"database": Note("it has not answered a statement", "", "2026-01-02T14:03:00+00:00")}),
        database=DatabaseProbe(failure="no answer within 6 s"),
    )
    (root,) = roots(_findings(seen))
    assert (root.code, root.object) == ("HEALTH_SERVICE_FROZEN", "mariadb/db1")
    assert _top(seen) == "mariadb on db1 runs but does not answer since 14:03 UTC · 2 findings follow from it"


@pytest.mark.parametrize("since", ["", "yesterday", "2026-01-02T14:03:00"])
def test_a_page_without_a_moment_says_nothing_of_since_when(since: str) -> None:
    seen = waiting_consumer({"database": Note("away", "", since)})
    assert " since " not in _top(seen)


@pytest.mark.parametrize("process", ["T", "S"])
def test_a_frozen_consumer_has_a_hint_that_helps(process: str) -> None:
    host = with_unit("app1", "obsctl-consumer", "active", process) | {
        "consumer": None, "no_page": {"consumer": "does not answer"},
    }  # fmt: skip
    (finding,) = _findings(seen_with("app1", host=host))
    assert finding.code == "HEALTH_CONSUMER_DOWN"
    assert finding.hint.startswith("on app1: systemctl kill -s CONT obsctl-consumer")
    assert ("its main process is stopped" in finding.summary) == (process == "T")


def test_a_stopped_unit_says_since_when() -> None:
    host = with_unit("db1", "mariadb", "inactive") | {"since": {"mariadb": "2026-01-02T14:03:12+00:00"}}
    seen = msgspec.structs.replace(seen_with("db1", host=host), database=DatabaseProbe(failure="connection refused"))
    (root,) = roots(_findings(seen))
    assert (root.code, root.object) == ("HEALTH_DATABASE_DOWN", "mariadb/db1")
    assert _top(seen) == "mariadb on db1 is inactive since 14:03 UTC · 1 finding follows from it"


def test_a_full_disk_that_a_broker_has_died_of() -> None:
    disk = Disk(mount="/var/lib/kafka", free_bytes=0, total_bytes=100 << 30)
    host = with_unit("node3", "kafka", "failed") | {"disks": (disk,)}
    seen = seen_with("node3", host=host, broker={"failure": "connection refused", "silence": REFUSED})
    (root,) = roots(_findings(seen))
    assert (root.code, root.object) == ("HEALTH_DISK_FULL", "host/node3")
    assert _top(seen).startswith("/var/lib/kafka on node3 has 0% free · 3 findings follow from it")
    layers = _layers(seen)
    assert (layers["hosts"], layers["kafka"]) == ("critical", "critical")
    assert {layers[name] for name in ("vip", "nginx", "obs-backend", "filebeat")} == {"ok"}


def test_a_robot_that_refused_says_when_it_is_tried_again() -> None:
    page = AlerterPage(
        status="degraded",
        reason="channel ops: refused",
        channels=(
            ChannelOnPage(name="ops", failures=2, next_try=NOW.timestamp()),
            ChannelOnPage(name="mail", failures=0, next_try=NOW.timestamp()),
        ),
    )
    (finding,) = _findings(seen_with("app1", host={"alerter": page}))
    assert finding.code == "HEALTH_ALERTER_WAITING"
    assert finding.summary.endswith("channel ops: refused; ops is retried at 14:07:30 UTC")
    assert "obsctl alert test" in finding.hint


def test_the_hosts_that_are_not_well_come_first() -> None:
    rows = CHECK.describe(FLEET, killed("node3", seen_with("db1", host=with_unit("db1", "mariadb", "failed"))))["hosts"]
    assert [row["host"] for row in rows] == ["node3", "db1", "node1", "node2", "app1"]
    assert [row["running"] for row in rows[1:3]] == ["0 of 1: mariadb failed", "5 of 5"]
    assert rows[2]["least_free_disk"] == "60% /"


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize(
    "seen",
    [WELL, killed("node2"), killed("node1", killed("node2")), refusing_ssh("node1", "Connection refused")],
    ids=["well", "a host killed", "two hosts killed", "ssh refused"],
)
def test_a_fault_is_one_screen_with_nothing_left_out(
    seen: HealthSnapshot, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    report = report_of(CHECK, FLEET, seen, Start(at=NOW), NOW)
    lines = render(report, "table", CHECK.layouts).split("\n")
    assert len(lines) <= 40
    assert all(len(line) <= columns for line in lines)


@pytest.mark.parametrize(
    ("failure", "command"),
    [
        ("no answer within 6 s", "systemctl kill -s CONT mariadb"),
        (
            "connection refused",
            "systemctl status mariadb; from here: timeout 3 bash -c '</dev/tcp/198.18.0.21/3306' && echo open",
        ),
    ],
)
def test_the_hint_about_a_database_is_one_that_helps(failure: str, command: str) -> None:
    """Of a frozen one the unit is active, and connections are taken."""
    (finding,) = judge_database(FLEET, DatabaseProbe(failure=failure))
    assert command in finding.hint


@pytest.mark.parametrize(("failure", "helps"), [("no answer in time", True), ("connection refused", False)])
def test_the_hints_about_what_is_silent_name_what_lets_it_go_on(failure: str, helps: bool) -> None:
    silence = MUTE if helps else REFUSED
    seen = seen_with(
        "node3", broker={"failure": failure, "silence": silence}, backend={"status": None, "failure": failure}
    )
    hints = {f.code: f.hint for f in _findings(seen)}
    assert ("systemctl kill -s CONT kafka" in hints["KAFKA_BROKER_DOWN"]) == helps
    assert ("systemctl kill -s CONT obs-backend" in hints["HEALTH_BACKEND_DOWN"]) == helps
