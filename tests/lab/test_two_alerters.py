"""Two hosts of group consumer: the one with the active alerter dies during a flood, and the other one reports it."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator

import pytest
import yaml

from tests.lab.conftest import INVENTORY, Fleet, Robot, get, play, wait_for

pytestmark = pytest.mark.long

#: The lab has one host for the consumer; the database's host becomes the second one for these tests.
HOSTS = ("app1", "db1")
PAGE = ("curl", "-s", "-m", "2", "http://127.0.0.1:9601/health")
PLAYBOOKS = ("playbooks/firewall.yml", "playbooks/mysql.yml", "playbooks/consumer.yml")
TAKEN_OVER_S = 30


@pytest.fixture(scope="module")
def second_host(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    copy = tmp_path_factory.mktemp("inventory") / "lab"
    shutil.copytree(INVENTORY, copy)
    hosts = yaml.safe_load((copy / "hosts.yml").read_text())
    hosts["all"]["children"]["consumer"]["hosts"] = dict.fromkeys(HOSTS)
    (copy / "hosts.yml").write_text(yaml.safe_dump(hosts))
    made = play(*PLAYBOOKS, inventory=copy)
    assert made.code == 0, made.said
    yield
    fleet.ssh("db1", "systemctl", "disable", "--now", "obsctl-consumer", "obsctl-alerter")
    undone = play(*PLAYBOOKS)
    assert undone.code == 0, undone.said


def role(fleet: Fleet, host: str) -> str:
    """Return the alerter's role, empty while it does not answer."""
    answer = fleet.on(host, *PAGE, timeout=20)
    try:
        page = json.loads(answer.out)
    except ValueError:
        return ""
    return str(page["role"]) if page["status"] != "failing" else ""


def roles(fleet: Fleet) -> dict[str, str]:
    return {host: role(fleet, host) for host in HOSTS}


def flood(number: int) -> None:
    for n in range(number):
        get(f"/flood?n={n}")


@pytest.mark.usefixtures("second_host")
def test_the_host_of_the_active_alerter_dies(healthy: Fleet, robot: Robot) -> None:
    wait_for("one active alerter", lambda: sorted(roles(healthy).values()) == ["active", "standby"], seconds=60)
    if role(healthy, "db1") == "active":
        # The database's host is needed; the other one takes over.
        healthy.ssh("db1", "systemctl", "stop", "obsctl-alerter")
        wait_for("app1 takes over", lambda: role(healthy, "app1") == "active", seconds=TAKEN_OVER_S)
        healthy.ssh("db1", "systemctl", "start", "obsctl-alerter")
        wait_for("db1 stands by", lambda: role(healthy, "db1") == "standby", seconds=TAKEN_OVER_S)
    robot.reset()

    def texts(word: str) -> list[str]:
        found = (json.dumps(entry, ensure_ascii=False) for entry in robot.received() if entry["channel"] == "dingtalk")
        return [text for text in found if word in text and "client-request-rate" in text]

    flood(150)
    wait_for("the first message", lambda: len(texts("[FIRING]")) == 1, seconds=15)
    try:
        assert healthy.obsctl("lab", "kill", "app1").code == 0
        wait_for("db1 takes over", lambda: role(healthy, "db1") == "active", seconds=TAKEN_OVER_S)
        wait_for("the end is reported", lambda: len(texts("[RESOLVED]")) == 1, seconds=180, every=2)
    finally:
        assert healthy.obsctl("lab", "start", "app1").code == 0
    wait_for("app1 stands by", lambda: roles(healthy) == {"app1": "standby", "db1": "active"}, seconds=90)
    time.sleep(5)
    assert (len(texts("[FIRING]")), len(texts("[RESOLVED]"))) == (1, 1)
