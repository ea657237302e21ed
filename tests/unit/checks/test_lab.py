"""What the lab's hosts look like to ``lab status``."""

from __future__ import annotations

import pytest

from obsctl.checks.lab.judge import describe_lab, judge_lab
from obsctl.checks.lab.snapshot import LabHost, LabSnapshot
from obsctl.fleet.model import Fleet


def seen(*, running: bool = True, cable: str = "up", ssh: bool = True) -> LabSnapshot:
    host = LabHost(name="node2", address="198.18.0.12", os="debian12", running=running, cable=cable, ssh=ssh)
    return LabSnapshot(record={"phase": "up"}, hosts=(host,))


def test_a_host_that_answers_is_well() -> None:
    assert judge_lab(Fleet(), seen()) == []


@pytest.mark.parametrize(
    ("snapshot", "code", "hint"),
    [
        (seen(cable="cut", ssh=False), "LAB_CABLE_CUT", "obsctl lab heal node2"),
        (seen(running=False, cable="none", ssh=False), "LAB_HOST_DOWN", "obsctl lab start node2"),
        (seen(ssh=False), "LAB_HOST_DOWN", "obsctl lab start node2"),
        (LabSnapshot(record={}, hosts=()), "LAB_NOT_UP", "obsctl lab up"),
    ],
)
def test_what_is_wrong_has_its_code_and_the_command_against_it(snapshot: LabSnapshot, code: str, hint: str) -> None:
    (finding,) = judge_lab(Fleet(), snapshot)
    assert (finding.code, finding.severity, finding.hint) == (code, "critical", hint)


def test_the_data_has_the_record_and_a_row_a_host() -> None:
    data = describe_lab(Fleet(), seen())
    assert data["lab"] == {"phase": "up"}
    assert data["hosts"] == [
        {"name": "node2", "address": "198.18.0.12", "os": "debian12", "running": True, "cable": "up", "ssh": True}
    ]
