"""The first line of a report: what is broken, since when, what follows, and what it means."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.unit.checks.test_causes import BROKER_DOWN, FAULTS, FLEET, HOST_DOWN

from obsctl.checks.causes import with_causes
from obsctl.checks.headline import headline
from obsctl.core.report import Fault, Finding, Severity

NOW = datetime(2026, 1, 2, 14, 7, 30, tzinfo=UTC)


def _line(*findings: Finding, meaning: str = "") -> str:
    return headline(FLEET, with_causes(FLEET, findings), meaning, NOW, command="obsctl health")


def _f(code: str, name: str, summary: str = "", **parts: Any) -> Finding:
    return Finding(code=code, severity=parts.pop("severity", Severity.CRITICAL), object=name, summary=summary, **parts)


def _several(**evidence: Any) -> Finding:
    return _f("VIP_SPLIT_BRAIN", "vip/192.0.2.100", evidence={"holders": ["node1", "node2"], **evidence})


def test_nothing_wrong_has_no_line() -> None:
    assert _line(meaning="") == ""
    assert _line(_f("HEALTH_QUARANTINE", "database/192.0.2.21", severity=Severity.INFO)) == ""


def test_what_could_not_be_found_out_is_the_line_where_nothing_is_wrong() -> None:
    errors = (Fault(code="X", object="broker/2", summary="answered in part"), Fault(code="X", object="y", summary="z"))
    assert headline(FLEET, [], "", NOW, errors) == "broker/2: answered in part · 1 more question"
    assert headline(FLEET, [BROKER_DOWN], "", NOW, errors) == "broker 2 on node2 does not answer"


def test_what_could_not_be_found_out_is_named_where_it_makes_the_verdict() -> None:
    errors = (Fault(code="X", object="broker/2", summary="answered in part"), Fault(code="X", object="y", summary="z"))
    assert headline(FLEET, [HOST_DOWN], "", NOW, errors) == "node2 is down · not known: broker/2 and 1 more"
    assert headline(FLEET, [HOST_DOWN], "", NOW, errors[1:]) == "node2 is down · not known: y"


def test_a_dead_host_and_what_it_means() -> None:
    line = _line(*FAULTS["a host is killed"][0], meaning="writes continue, one more broker down stops them")
    assert line == (
        "node2 is down since 14:07 UTC · 7 findings follow from it · writes continue, one more broker down stops them"
    )


def test_hosts_that_are_down_together_are_one_event() -> None:
    assert _line(*FAULTS["two hosts are killed"][0]) == "node1 and node2 are down · 7 findings follow from them"


def test_logins_that_are_refused_everywhere_are_one_event() -> None:
    line = _line(*FAULTS["no host takes our key"][0])
    assert line == ("node1, node2 and node3 are up, but obsctl cannot log in over ssh · 4 findings follow from them")


def test_two_causes_as_bad_as_each_other_are_both_named() -> None:
    database = _f("HEALTH_DATABASE_DOWN", "database/192.0.2.21", "x" * 200, since="2026-01-02T14:03:00+00:00")
    waiting = _f("HEALTH_CONSUMER_WAITING", "obsctl-consumer/app1", evidence={"troubles": ["database"]})
    dead = _f("HEALTH_HOST_DOWN", "host/node2")
    assert _line(dead, BROKER_DOWN, database, waiting, meaning="writes continue") == (
        f"node2 is down and database on db1: {'x' * 32}… since 14:03 UTC · 2 findings follow from them"
        " · writes continue"
    )
    refused = _f("HEALTH_DATABASE_DOWN", "database/192.0.2.21", "x" * 200)
    assert _line(refused, BROKER_DOWN) == f"database on db1: {'x' * 62}… and broker 2 on node2 does not answer"
    quarantine = _f("HEALTH_QUARANTINE", "database/192.0.2.21", severity=Severity.WARNING)
    frozen = _f("HEALTH_SERVICE_FROZEN", "nginx/node1", evidence={"stopped": True})
    assert _line(dead, frozen, quarantine) == (
        "node2 is down and nginx on node1 is frozen · 1 more finding: obsctl health"
    )


def test_hosts_that_are_down_together_are_one_of_two_causes() -> None:
    down = [_f("HEALTH_HOST_DOWN", f"host/node{number}") for number in (1, 2)]
    frozen = _f("HEALTH_SERVICE_FROZEN", "kafka/node3", evidence={"stopped": True})
    assert _line(*down, frozen) == "node1 and node2 are down and kafka on node3 is frozen"
    assert _line(frozen, *down) == "kafka on node3 is frozen and node1 and node2 are down"


def test_three_causes_are_counted_with_the_command_that_lists_them() -> None:
    frozen = [_f("HEALTH_SERVICE_FROZEN", f"kafka/node{n}", evidence={"stopped": True}) for n in (1, 2, 3)]
    line = _line(*frozen, meaning="no writes")
    assert line == "kafka on node1 is frozen · 2 more findings: obsctl health · no writes"
    # A test or a drill is not run again to see the rest of its report.
    assert headline(FLEET, frozen, "", NOW) == "kafka on node1 is frozen · 2 more findings"


def test_what_is_less_bad_is_counted() -> None:
    disk = _f("HEALTH_DISK_FULL", "host/node1", severity=Severity.WARNING)
    dead = _f("HEALTH_HOST_DOWN", "host/node2")
    assert _line(dead, BROKER_DOWN, disk) == "node2 is down · 1 finding follows from it · 1 more finding: obsctl health"


@pytest.mark.parametrize(
    ("finding", "words"),
    [
        (_f("HEALTH_SERVICE_FROZEN", "kafka/node2", evidence={"stopped": True}), "kafka on node2 is frozen"),
        (_f("HEALTH_SERVICE_FROZEN", "kafka/node2"), "kafka on node2 runs but does not answer"),
        (BROKER_DOWN, "broker 2 on node2 does not answer"),
        (
            _f("HEALTH_DISK_FULL", "host/node3", evidence={"mount": "/var", "free_share": 0.03}),
            "/var on node3 has 3% free",
        ),
        (
            _f("HEALTH_CONSUMER_DOWN", "obsctl-consumer/app1", evidence={"state": "inactive"}),
            "obsctl-consumer on app1 is inactive",
        ),
        (_f("VIP_SPLIT_BRAIN", "vip/192.0.2.100", "two hold it"), "vip/192.0.2.100: two hold it"),
        (_several(hanging=["node1"]), "node1 and node2 hold 192.0.2.100 at once: keepalived hangs on node1"),
        (_several(left_behind=["node2"]), "node1 and node2 hold 192.0.2.100 at once: it was left behind on node2"),
        (_several(by_hand=["node2"]), "node1 and node2 hold 192.0.2.100 at once: it was added by hand on node2"),
        (
            _several(vrrp={"node1": "MASTER", "node2": "MASTER"}),
            "node1 and node2 hold 192.0.2.100 at once: they do not hear each other",
        ),
        (_several(vrrp={"node1": "MASTER", "node2": ""}), "node1 and node2 hold 192.0.2.100 at once"),
        (_f("KAFKA_UNREACHABLE", "kafka", "no broker answers"), "kafka: no broker answers"),
        (_f("HEALTH_HOST_NOT_ASKED", "host/node1"), "node1 is up, but obsctl cannot log in over ssh"),
        (_f("KAFKA_FOLLOWER_STUCK", "broker/2", "fetches nothing"), "broker 2 on node2: fetches nothing"),
        (_f("HEALTH_DATABASE_DOWN", "database/192.0.2.21", "refused"), "database on db1: refused"),
        (_f("KAFKA_BROKER_FENCED", "broker/9", "not listed"), "broker/9: not listed"),
        (_f("LB_NODE_NOT_ASKED", "host/node1", "its nginx answers"), "node1: its nginx answers"),
        (_f("X", "topic/t", "x" * 200), f"topic/t: {'x' * 70}…"),
    ],
)
def test_each_cause_in_words(finding: Finding, words: str) -> None:
    assert _line(finding) == words


@pytest.mark.parametrize(
    ("since", "words"),
    [
        ("2026-01-02T14:03:00+00:00", " since 14:03 UTC"),
        ("2026-01-02T15:03:00+01:00", " since 14:03 UTC"),
        ("2026-01-01T23:59:59+00:00", " since 2026-01-01 23:59 UTC"),
    ],
)
def test_since_when_in_one_zone(since: str, words: str) -> None:
    finding = _f("HEALTH_SERVICE_DOWN", "nginx/node1", evidence={"state": "failed"}, since=since)
    assert _line(finding) == f"nginx on node1 is failed{words}"
