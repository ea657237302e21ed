"""Each fault of ``catalogue.py`` on the real fleet: what is said of it, nothing false beside it, all well afterwards.

On demand, on a lab that runs: ``CI=true pytest tests/lab/test_fault_catalogue.py -k 'a broker'``.
"""

from __future__ import annotations

import contextlib
import re
import shlex
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from obsctl.core.brokers import Brokers, Security
from obsctl.kafka.clients import admin
from tests.lab import certificates
from tests.lab.catalogue import DEADLINES, FAULTS, Fault, Says, Step, filled
from tests.lab.conftest import NODES, Answer, Fleet, Robot, get, play, wait_for

#: A screen, docs/reference/commands.md.
SCREEN = 40
_AS_ADMINISTRATOR = Brokers(
    ["198.18.0.11:9094"],
    Security(
        protocol="SASL_SSL",
        user="admin",
        password="file:/var/lib/obsctl-lab/secrets/kafka_admin",
        ca_file="/var/lib/obsctl-lab/ca.pem",
    ),
)
ROWS = "SELECT COUNT(*) FROM access_log WHERE uri LIKE '/{marker}%'"


@dataclass(frozen=True)
class Drill:
    """One row of the table on the lab.

    Attributes:
        names: what the row's names in braces stand for.
        folder: for what was seen.
    """

    fleet: Fleet
    robot: Robot
    fault: Fault
    names: Mapping[str, str]
    folder: Path

    def run(self, step: Step) -> None:
        """Run a step; it has to succeed."""
        where, command = filled(step.where, self.names), filled(step.command, self.names)
        if where == "robot":
            self.robot.behave(command)
        elif where == "certificate":
            host, use, what = command.split()
            certificates.place(self.fleet, host, use, what, self.folder)
        elif where == "play":
            played = play(command)
            assert played.code == 0, played.said
        elif where == "obsctl":
            answer = self.fleet.obsctl(*shlex.split(command), timeout=180)
            assert answer.code == 0, f"obsctl {command} ended with {answer.code}: {answer.said}"
        else:
            self.fleet.ssh(where, "sh", "-ec", command, timeout=200)

    def is_ok(self, command: str) -> bool:
        """Whether a command finds nothing."""
        return self.fleet.obsctl(*shlex.split(command), "-o", "json").code == 0

    def hears(self, says: Says) -> None:
        """Ask until the command says what it has to; nothing that it says before that may be false, either.

        What it does not know at a look, because this machine was busy, it has to know at a later one.
        """
        seen, hint = "", ""

        def said() -> bool:
            nonlocal seen, hint
            for step in self.fault.meanwhile:
                self.run(step)
            answer = self._ask(says)
            seen = self._first_line(says, answer)
            hint = next((finding["hint"] for finding in answer.json["findings"]), "")
            return (
                not self._beside(says, answer)
                and _causes(answer) == sorted(filled(cause, self.names) for cause in says.causes)
                and {filled(one, self.names) for one in says.informs} <= set(_informs(answer))
                and answer.code == says.exit_code
                and _fits(filled(says.top, self.names), seen)
            )

        wait_for(lambda: f"{says.command} says {seen!r}, and not {says.top!r}", said, seconds=self.fault.within)
        assert filled(says.hint, self.names) in hint

    def _ask(self, says: Says) -> Answer:
        keep = ["--save-snapshot", str(self.folder / "snapshot")] if says.snapshot else []
        deadline_s = DEADLINES[says.command]
        answer = self.fleet.obsctl(*shlex.split(says.command), *keep, "-o", "json", timeout=deadline_s + 60)
        assert "Traceback" not in answer.said
        report = answer.json
        assert report["took_ms"] <= deadline_s * 1000, answer.out
        false = [one for one in self._beside(says, answer) if one.get("severity", "unknown") != "unknown"]
        assert not false, f"{says.command}: " + "; ".join(f"{_name(one)}: {one['summary']}" for one in false)
        return answer

    def _beside(self, says: Says, answer: Answer) -> list[Mapping[str, Any]]:
        """Return the errors and findings that the fault does not explain, without information."""
        known = [filled(one, self.names) for one in (*says.causes, *says.may)]
        report = answer.json
        found = [*report["errors"], *(f for f in report["findings"] if f["severity"] != "info")]
        return [one for one in found if not any(fnmatchcase(_name(one), pattern) for pattern in known)]

    def _first_line(self, says: Says, answer: Answer) -> str:
        """Return the first line that a person sees, without time and duration: of the same look, or of one more."""
        command = shlex.split(says.command)
        if says.snapshot:
            command += ["--from-file", str(self.folder / "snapshot")]
        shown = self.fleet.obsctl(*command)
        if not says.snapshot and shown.code != answer.code:
            return "something else at the second look"
        assert shown.code == answer.code, shown.said
        if says.command == "health":
            assert len(shown.out.splitlines()) <= SCREEN, shown.out
        # A long one goes on in the lines below.
        head = re.match(r"(.*?)\s+\(\d+ ms, [^)]*\)", " ".join(shown.out.splitlines()))
        assert head, shown.said
        return head[1]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.long if fault.long else ()) for name, fault in FAULTS.items()]
)
def test_a_fault_is_named_and_nothing_else(healthy: Fleet, robot: Robot, tmp_path: Path, name: str) -> None:
    fault, marker = FAULTS[name], f"fault-{uuid.uuid4().hex}"
    drill = Drill(healthy, robot, fault, _names(healthy), tmp_path)
    commands = {says.command: None for says in fault.says}
    for command in commands:
        wait_for(f"{command} is OK before", lambda c=command: drill.is_ok(c))
    try:
        for step in fault.make:
            drill.run(step)
        if fault.lines:
            _send(healthy, fault.lines, marker)
        for says in fault.says:
            drill.hears(says)
    finally:
        for step in fault.mend:
            with contextlib.suppress(AssertionError):
                drill.run(step)
        healthy.wait_healthy()
    for command in commands:
        wait_for(f"{command} is OK again", lambda c=command: drill.is_ok(c), seconds=120)
    if fault.lines:
        wait_for("every line is a row", lambda: healthy.number(ROWS.format(marker=marker)) == 20)


def _names(fleet: Fleet) -> dict[str, str]:
    holder = fleet.holder()
    assert holder is not None
    other = next(node for node in NODES if node != holder)
    return {"holder": holder, "other": other, "database": fleet.database_unit}


def _send(fleet: Fleet, host: str, marker: str) -> None:
    script = f"for n in $(seq 20); do curl -s -m 5 -o /dev/null http://127.0.0.1/{marker}?n=$n; done"
    fleet.ssh(host, "sh", "-c", script, timeout=120)


def _fits(pattern: str, line: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("…"))), line) is not None


def _name(one: Mapping[str, Any]) -> str:
    return f"{one['code']} {one['object']}"


def _causes(answer: Answer) -> list[str]:
    """Return the findings that stand for themselves, without information."""
    return sorted(_name(f) for f in answer.json["findings"] if not f["caused_by"] and f["severity"] != "info")


def _informs(answer: Answer) -> Iterator[str]:
    yield from (_name(f) for f in answer.json["findings"] if f["severity"] == "info")


@pytest.mark.long
def test_a_broker_that_hangs_makes_no_fault_of_a_consumer_that_stores(healthy: Fleet) -> None:
    marker = f"frozen-{uuid.uuid4().hex}"
    healthy.ssh("node3", "systemctl", "kill", "-s", "STOP", "kafka")
    try:
        for number in range(20):
            get(f"/{marker}?n={number}")
        # Longer than the clients' time-outs, and than Kafka takes to give the broker up.
        for _ in range(12):
            assert "HEALTH_CONSUMER_WAITING" not in healthy.obsctl("health", "-o", "json").codes
        wait_for("20 rows", lambda: healthy.number(ROWS.format(marker=marker)) == 20, seconds=60)
    finally:
        healthy.ssh("node3", "systemctl", "kill", "-s", "CONT", "kafka")
        healthy.wait_healthy()


@pytest.mark.long
def test_lines_deleted_unread_are_a_finding_until_a_person_has_taken_note(healthy: Fleet) -> None:
    """The retention passes the stopped consumer; its restart forgets nothing, and an acknowledgement ends it."""
    healthy.ssh("app1", "systemctl", "stop", "obsctl-consumer")
    try:
        _send(healthy, "node1", f"lost-{uuid.uuid4().hex}")
        wait_for("records wait", lambda: _unread(healthy) >= 20, seconds=30)
        # To the high watermark, as the retention does it with segments that are old.
        everything = [TopicPartition("nginxlog", number, -1) for number in range(6)]
        client = admin(_AS_ADMINISTRATOR, "test")
        for future in client.delete_records(everything).values():
            future.result(timeout=30)
        away = healthy.obsctl("health", "-o", "json")
        assert {"HEALTH_CONSUMER_DOWN", "KAFKA_UNREAD_EXPIRED"} <= away.codes, away.out
        assert "CONSUMER_POSITION_GONE" in healthy.obsctl("consumer", "status", "-o", "json").codes
    finally:
        healthy.ssh("app1", "systemctl", "start", "obsctl-consumer")
    lost = ["CONSUMER_RECORDS_LOST topic/nginxlog"]
    wait_for("the loss alone", lambda: _causes(healthy.obsctl("health", "-o", "json")) == lost, seconds=60)
    healthy.ssh("app1", "systemctl", "restart", "obsctl-consumer")
    wait_for("the loss after a restart", lambda: _causes(healthy.obsctl("health", "-o", "json")) == lost, seconds=60)
    noted = healthy.obsctl("ack", "add", "CONSUMER_RECORDS_LOST", "topic/nginxlog", "--reason", "made on purpose")
    assert noted.code == 0, noted.said
    healthy.wait_healthy()


def _unread(fleet: Fleet) -> int:
    groups = fleet.obsctl("kafka", "status", "-o", "json").json["data"]["groups"]
    return sum(group["lag"] or 0 for group in groups if group["group"] == "obsctl-consumer")
