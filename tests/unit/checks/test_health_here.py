"""The state of a fleet as one host sees it without a login on others: what it cannot ask is no fault."""

from __future__ import annotations

import msgspec
import pytest
from tests.unit.checks.test_health import FLEET as ONE_CONSUMER
from tests.unit.checks.test_health import WELL
from tests.unit.render.snapshots import WHOLE_CLUSTER

from obsctl.checks.health import here
from obsctl.checks.health.snapshot import DatabaseProbe, Disk, HealthSnapshot, HostProbe
from obsctl.fleet.model import Fleet, Host

FLEET = msgspec.structs.replace(
    ONE_CONSUMER, hosts=(*ONE_CONSUMER.hosts, Host(name="app2", address="192.0.2.5", groups=("consumer",)))
)
OWN = next(probe for probe in WELL.hosts if probe.name == "app1")
assert OWN.alerter is not None
STANDBY = msgspec.structs.replace(OWN, alerter=msgspec.structs.replace(OWN.alerter, role="standby"))
SEEN = HealthSnapshot(kafka=WHOLE_CLUSTER, hosts=(STANDBY,), database=WELL.database)


def _codes(fleet: Fleet, snapshot: HealthSnapshot) -> list[str]:
    return [finding.code for finding in here.judge_here(fleet, snapshot)]


def test_what_takes_a_login_on_other_hosts_is_named_and_no_finding() -> None:
    told = here.describe_here(FLEET, SEEN)
    assert told["not_asked"] == ["vip", "nginx", "obs-backend", "filebeat"]
    assert [row["layer"] for row in told["layers"]] == [
        "hosts", "kafka", "consumer", "alerter", "database"
    ]  # fmt: skip
    assert {row["status"] for row in told["layers"]} == {"ok"}
    assert _codes(FLEET, SEEN) == []


def test_the_hosts_row_says_who_was_asked_and_how() -> None:
    own = msgspec.structs.replace(STANDBY, disks=(Disk(mount="/", free_bytes=60, total_bytes=100),))
    row = here.describe_here(FLEET, msgspec.structs.replace(SEEN, hosts=(own,)))["layers"][0]
    assert row["detail"] == (
        "app1 asked itself, without ssh: units running: 2 of 2, least free disk 60% /; "
        "other hosts, which were not asked: 4"
    )
    hung = HostProbe(name="app1", failure="no answer within 4 s")
    row = here.describe_here(FLEET, msgspec.structs.replace(SEEN, hosts=(hung,)))["layers"][0]
    assert row["detail"] == "app1 asked itself, without ssh: no answer within 4 s; other hosts, which were not asked: 4"


def test_that_no_alerter_is_active_is_judged_where_all_of_them_were_asked() -> None:
    assert _codes(ONE_CONSUMER, SEEN) == ["HEALTH_ALERTER_WAITING"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"database": DatabaseProbe(failure="no answer within 4 s")}, "HEALTH_DATABASE_DOWN"),
        ({"database": DatabaseProbe(asked=False, failure="no password")}, "HEALTH_LAYER_NOT_ASKED"),
    ],
)
def test_what_this_host_asks_and_does_not_get_is_a_finding(change: dict[str, object], code: str) -> None:
    assert code in _codes(FLEET, msgspec.structs.replace(SEEN, **change))


def test_a_host_that_is_not_of_the_fleet_names_the_daemons_as_not_asked() -> None:
    without = msgspec.structs.replace(SEEN, hosts=())
    assert here.not_asked(FLEET, without) == ["vip", "nginx", "obs-backend", "filebeat", "consumer", "alerter"]
    assert _codes(FLEET, without) == []
