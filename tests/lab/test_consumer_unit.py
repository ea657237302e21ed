"""The consumer's unit under systemd: what hangs or dies in it is replaced, and the lines go on."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

from tests.lab.conftest import Fleet, get, wait_for

UNIT = "obsctl-consumer"


def _page(fleet: Fleet) -> dict[str, Any]:
    return dict(json.loads(fleet.ssh("app1", "curl", "-s", "-m", "2", "http://127.0.0.1:9600/health")))


def _main_pid(fleet: Fleet) -> str:
    return fleet.ssh("app1", "systemctl", "show", "--property=MainPID", "--value", UNIT).strip()


def _rows_go_on(fleet: Fleet) -> None:
    marker = f"unit-{uuid.uuid4().hex}"
    for _ in range(30):
        get(f"/{marker}")
    wait_for(
        "30 rows",
        lambda: fleet.number(f"SELECT COUNT(*) FROM access_log WHERE uri LIKE '/{marker}%'") == 30,
        seconds=60,
    )


def test_a_killed_worker_is_replaced_and_reported(healthy: Fleet) -> None:
    victim = _page(healthy)["workers"][0]["pid"]
    main = _main_pid(healthy)
    healthy.ssh("app1", "kill", "-KILL", str(victim))
    wait_for("the finding", lambda: "HEALTH_CONSUMER_RESTARTED" in healthy.obsctl("health", "-o", "json").codes)
    assert _page(healthy)["workers"][0]["pid"] not in (None, victim)
    assert _main_pid(healthy) == main
    _rows_go_on(healthy)


def test_a_supervisor_that_hangs_is_restarted_by_systemd(fleet: Fleet) -> None:
    # It still reports the worker of the test before, for a minute that this test need not wait for.
    main = _main_pid(fleet)
    workers = [str(worker["pid"]) for worker in _page(fleet)["workers"]]
    assert all(alive.isdigit() for alive in (main, *workers)), (main, workers)
    fleet.ssh("app1", "kill", "-STOP", main)
    wait_for("another main process", lambda: _main_pid(fleet) not in ("0", main), seconds=120)
    time.sleep(1)
    left = fleet.ssh("app1", "ps", "-o", "pid=", "-p", ",".join(workers), check=False)
    assert left == "", f"workers of the old unit live: {left}"
    _rows_go_on(fleet)
    fleet.wait_healthy()
