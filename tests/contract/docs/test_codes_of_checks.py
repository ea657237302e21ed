"""Which codes ``--select`` takes at each command: those that its check can make, read from its functions."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from obsctl.checks.check import Check
from obsctl.checks.codes import codes_of
from obsctl.checks.health.check import health_check
from obsctl.checks.kafka.check import cluster_check, loss_check, partitions_check, quorum_check, topics_check
from obsctl.checks.lag.check import lag_check
from obsctl.checks.ready.check import ready_check
from obsctl.checks.vip.check import vip_check
from obsctl.core.runbooks import pages
from tests.contract.docs.program import COMMANDS
from tests.unit.render import test_golden as golden

_FOLDER = Path(__file__).resolve().parents[3] / "src/obsctl/checks"


def _never(*_: object) -> Any:
    """Stand for a function that a check is given: it is built here and must not run."""
    raise AssertionError("a check ran while only its codes were asked for")


def _all_checks() -> Iterator[Check[Any]]:
    """Yield what each function of a ``check.py`` makes."""
    for path in sorted(_FOLDER.glob("*/check.py")):
        module = import_module(f"obsctl.checks.{path.parent.name}.check")
        for make in vars(module).values():
            if inspect.isfunction(make) and str(make.__annotations__.get("return")).startswith("Check["):
                needed = [one.name for one in inspect.signature(make).parameters.values() if one.default is one.empty]
                yield make(**dict.fromkeys(needed, _never))


CHECKS = list(_all_checks())
#: The beginnings of codes that are the results of doing something, which has no ``--select``.
_OF_ACTIONS = ("ALERT_", "DRILL_", "CONSUMER_REPLAY_", "KAFKA_LEADER_NOT_MOVED")


def test_each_command_that_selects_is_looked_at() -> None:
    selecting = {name for name, command in COMMANDS.items() if any(p.name == "select" for p in command.params)}
    assert {check.command for check in CHECKS} - {"health --pre"} | {"status"} == selecting


def test_each_code_with_a_page_is_one_of_a_check() -> None:
    """A code that is not seen here could not be selected anywhere."""
    made = {code for check in CHECKS for code in codes_of(check)}
    left = {code for code in pages().keys() - made if not code.startswith(_OF_ACTIONS)}
    assert left == set()
    assert not [code for code in made if code.startswith(_OF_ACTIONS)]


@pytest.mark.parametrize("name", golden.CASES)
def test_what_a_check_has_found_it_can_find(name: str) -> None:
    check, seen = golden.CASES[name]
    fleet = golden.FLEETS.get(check.command, golden.snapshots.FLEET)
    found = {one.code for one in (*check.findings(fleet, seen), *seen.errors)}
    assert found <= codes_of(check)


@pytest.mark.parametrize(
    ("check", "has", "has_not"),
    [
        (quorum_check(), "KAFKA_NO_CONTROLLER", "KAFKA_DISK_LOW"),
        (topics_check(), "KAFKA_TOPIC_MISSING", "KAFKA_LEADER_SKEW"),
        (partitions_check(), "KAFKA_UNDER_MIN_ISR", "KAFKA_LAG"),
        (loss_check(["1"]), "KAFKA_LOSS_OFFLINE", "KAFKA_TOPIC_MISSING"),
        (lag_check(), "KAFKA_LAG_STALL", "KAFKA_TOPIC_MISSING"),
        (vip_check(), "VIP_SPLIT_BRAIN", "HEALTH_SERVICE_DOWN"),
        (ready_check(), "PRE_PORT_TAKEN", "HEALTH_DISK_FULL"),
        (health_check(), "LOGS_LATE", "LB_SKEW"),
        # What is not found, but missing: also where the module that says so is imported by the function.
        (cluster_check(), "KAFKA_ANSWER_CUT", "PRE_NOT_ASKED"),
    ],
)
def test_a_code_of_another_command_is_none(check: Check[Any], has: str, has_not: str) -> None:
    assert has in codes_of(check)
    assert has_not not in codes_of(check)
