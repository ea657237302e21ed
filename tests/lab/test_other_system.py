"""Database and consumer on hosts of the other system: in the mixed fleet MariaDB on Debian, fed by a consumer on EL.

The fleet's own pair (MySQL on EL, the consumer on Debian) goes on beside them and holds the same rows in the end.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from obsctl.lab.spec import FLEET_LAB
from tests.lab.conftest import DATABASE_UNIT, INVENTORY, Fleet, get, play, wait_for

DATABASE, CONSUMER, BROKER = "app1", "node3", "node1"
UNITS = ("obsctl-consumer", "obsctl-alerter")
LIMIT = ("--limit", f"{DATABASE},{CONSUMER}")
PLAYBOOKS = [f"playbooks/{name}.yml" for name in ("firewall", "mysql", "consumer")]
#: The pair is no part of the fleet's own groups, and no person is alerted twice.
VARIABLES = json.dumps(
    {"consumer_group": "drill-consumer", "consumer_alert_group": "drill-alerter", "consumer_alert_channels": []}
)
#: The pair's groups are none of the fleet's, so the role gives no user a right to them.
_RIGHTS = (
    "kafka-cli acls --bootstrap-server {broker} {change} --allow-principal User:consumer --allow-principal User:alerter"
    " --operation Read --group drill- --resource-pattern-type prefixed"
)
_PAIR = re.compile(r"( +mysql:\n +hosts:\n +)db1(:\n +consumer:\n +hosts:\n +)app1:\n")


@pytest.fixture
def pair(healthy: Fleet, tmp_path: Path) -> Iterator[Path]:
    """The lab's inventory with the two groups on other hosts; the hosts are given back afterwards."""
    unit = DATABASE_UNIT[healthy.record.os_of(DATABASE)]
    if unit == healthy.database_unit:
        pytest.skip("all hosts run one system, and its own pair shows the same: obsctl lab up --os mixed")
    inventory = tmp_path / "lab"
    shutil.copytree(INVENTORY, inventory)
    text, count = _PAIR.subn(rf"\g<1>{DATABASE}\g<2>{CONSUMER}:\n", (inventory / "hosts.yml").read_text())
    assert count == 1
    (inventory / "hosts.yml").write_text(text)
    _change_rights(healthy, "--add")
    try:
        yield inventory
    finally:
        _change_rights(healthy, "--remove --force")
        healthy.ssh(CONSUMER, "systemctl", "disable", "--now", *UNITS, check=False)
        healthy.ssh(DATABASE, "systemctl", "disable", "--now", unit, check=False)
        restored = play("playbooks/firewall.yml", *LIMIT)
    assert restored.code == 0, restored.said
    healthy.wait_healthy()


def _change_rights(fleet: Fleet, change: str) -> None:
    fleet.ssh(
        BROKER, "sh", "-c", _RIGHTS.format(broker=f"{FLEET_LAB.address(FLEET_LAB.host(BROKER))}:9094", change=change)
    )


@pytest.mark.long
def test_both_pairs_store_the_same_rows(pair: Path, fleet: Fleet) -> None:
    run = play(*PLAYBOOKS, *LIMIT, "-e", VARIABLES, inventory=pair)
    assert run.code == 0, run.said
    again = play(*PLAYBOOKS, *LIMIT, "-e", VARIABLES, inventory=pair)
    assert (again.code, set(again.changes.values())) == (0, {0}), again.said

    for number in range(30):
        get(f"/other-system?n={number}")
    rows = "SELECT COUNT(*), COUNT(DISTINCT line_id) FROM access_log"

    def stored(host: str) -> str:
        return fleet.ssh(host, "mysql", "-N", "-B", "obs", "-e", rows, check=False)

    wait_for("the same rows in both", lambda: stored("db1") == stored(DATABASE) != "", seconds=120, every=2)
