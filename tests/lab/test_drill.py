"""Failover drills on the fleet: the outage within its bound, no line lost or doubled, everything put back.

Those that send requests make an alert about this machine, so they run on demand, away from drills that count messages.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.lab.conftest import BIN, INVENTORY, ROOT, Fleet, wait_for

BOTH = [(target, how) for target in ("vip", "nginx", "backend", "broker") for how in ("stop", "freeze", "cut")]
OTHERS = [(target, how) for target in ("database", "consumer", "alerter") for how in ("kill", "freeze")]


def drill(fleet: Fleet, target: str, how: str, state: Path) -> dict[str, object]:
    environment = os.environ | {"XDG_STATE_HOME": str(state)}
    command = [BIN / "obsctl", "-i", INVENTORY, "drill", "failover", "--target", target, "--how", how]
    done = subprocess.run(
        [*command, "--for", "12", "--yes", "-o", "json", "--report", state / "drill.html"],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=420, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (row,) = json.loads(done.stdout)["data"]["drills"]
    assert (row["restored"], row["healthy"]) == (True, True)
    assert row["sent"] > 300
    assert (row["lost"], row["doubled"]) == (0, 0)
    assert row["stored"] == row["expected"] > 0
    assert "<svg" in (state / "drill.html").read_text()
    for host in ("node1", "node2", "node3", "db1", "app1"):
        timers = fleet.ssh(host, "systemctl", "list-units", "--all", "--no-legend", "obsctl-drill*")
        assert not timers.strip(), f"{host} keeps {timers}"
    return dict(row)


@pytest.mark.long
def test_the_holder_s_keepalived_is_killed(healthy: Fleet, tmp_path: Path) -> None:
    row = drill(healthy, "vip", "kill", tmp_path)
    assert row["outage_s"] <= row["bound_s"]
    kept = subprocess.run(
        [BIN / "obsctl", "-i", INVENTORY, "drill", "history", "-o", "json"],
        cwd=ROOT, env=os.environ | {"XDG_STATE_HOME": str(tmp_path)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert [one["id"] for one in json.loads(kept.stdout)["data"]["drills"]] == [row["id"]]


@pytest.mark.long
@pytest.mark.parametrize(("target", "how"), [*BOTH, *OTHERS])
def test_each_target_broken_in_each_way(healthy: Fleet, tmp_path: Path, target: str, how: str) -> None:
    drill(healthy, target, how, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_drill_restores_what_it_broke(healthy: Fleet, tmp_path: Path, number: int, code: int) -> None:
    command = [BIN / "obsctl", "-i", INVENTORY, "drill", "failover", "--target", "backend", "--how", "stop"]
    running = subprocess.Popen(
        [*command, "--for", "120", "--yes"],
        cwd=ROOT, env=os.environ | {"XDG_STATE_HOME": str(tmp_path)}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        wait_for("a back end is stopped", lambda: stopped(healthy))
        running.send_signal(number)
        assert running.wait(60) == code
    finally:
        running.kill()
    assert not stopped(healthy)


def stopped(fleet: Fleet) -> bool:
    """Whether the first back end, which a drill takes, is stopped."""
    return fleet.ssh("node1", "systemctl", "is-active", "obs-backend", check=False).strip() != "active"


def test_a_sick_fleet_is_not_broken_further(healthy: Fleet) -> None:
    healthy.ssh("node3", "systemctl", "stop", "obs-backend")
    try:
        answer = healthy.obsctl("drill", "failover", "--target", "vip", "--yes")
    finally:
        healthy.ssh("node3", "systemctl", "start", "obs-backend")
    assert answer.code == 77
    assert "not healthy" in answer.err
