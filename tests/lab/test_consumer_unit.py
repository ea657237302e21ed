"""The consumer's unit under systemd: what hangs or dies in it is replaced, and the lines go on."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab.conftest import Fleet, get, wait_for

UNIT = "obsctl-consumer"
#: Makes systemd less patient than the role, whose minute tests/contract/roles/test_consumer.py knows.
IMPATIENT = f"/run/systemd/system/{UNIT}.service.d/drill.conf"
IMPATIENT_S = 10

PAGE = ("curl", "-s", "-m", "2", "http://127.0.0.1:9600/health")


def _page(fleet: Fleet) -> dict[str, Any]:
    return dict(json.loads(fleet.ssh("app1", *PAGE)))


def _workers(fleet: Fleet) -> list[str]:
    """Return the processes of the workers; none before all of them run."""
    answer = fleet.on("app1", *PAGE)
    pids = [str(worker["pid"]) for worker in answer.json["workers"]] if answer.code == 0 else []
    return pids if all(pid.isdigit() for pid in pids) else []


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


@pytest.fixture
def impatient(fleet: Fleet) -> Iterator[None]:
    """The unit with a watchdog of some seconds; as the role made it at the end."""
    settings = f"[Service]\\nWatchdogSec={IMPATIENT_S}\\n"
    write = f"mkdir -p {IMPATIENT.rpartition('/')[0]} && printf '{settings}' > {IMPATIENT}"
    try:
        fleet.ssh("app1", "sh", "-c", f"{write} && systemctl daemon-reload && systemctl restart {UNIT}")
        yield
    finally:
        fleet.ssh("app1", "sh", "-c", f"rm -r {IMPATIENT.rpartition('/')[0]}; systemctl daemon-reload")
        fleet.ssh("app1", "systemctl", "restart", UNIT)
    fleet.wait_healthy()


@pytest.mark.usefixtures("impatient")
def test_a_supervisor_that_hangs_is_restarted_by_systemd(fleet: Fleet) -> None:
    assert fleet.ssh("app1", "systemctl", "show", "-p", "WatchdogUSec", "--value", UNIT) == f"{IMPATIENT_S}s\n"
    workers = wait_for("the workers", lambda: _workers(fleet), seconds=30)
    main = _main_pid(fleet)
    assert main.isdigit(), main
    fleet.ssh("app1", "kill", "-STOP", main)
    wait_for("another main process", lambda: _main_pid(fleet) not in ("0", main))
    show = ("ps", "-o", "pid=", "-p", ",".join(workers))
    wait_for("the end of the old unit's workers", lambda: fleet.ssh("app1", *show, check=False) == "", seconds=30)
    _rows_go_on(fleet)
