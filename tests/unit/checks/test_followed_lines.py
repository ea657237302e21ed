"""The first hop that a line did not reach is named, its times are by one clock, and what was not asked is not lost."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from obsctl.checks.logs.hops import clock_of, describe_hops, describe_lines, times
from obsctl.checks.logs.judge import judge_logs, judge_traced
from obsctl.checks.logs.snapshot import HostLogs, LineSeen, LogsSnapshot, Sample, Unit
from obsctl.core.report import Fault, Severity
from obsctl.fleet.model import Fleet, Host

T = 1_800_000_000.0
FLEET = Fleet(
    hosts=(
        Host(name="node1", address="192.0.2.11", groups=("lb", "backend", "filebeat")),
        Host(name="node2", address="192.0.2.12", groups=("lb", "backend", "filebeat")),
        Host(name="app1", address="192.0.2.31", groups=("consumer",)),
    )
)
WHOLE = LineSeen(
    id="0011223344556677", target="192.0.2.11:80", host="node1", backend="node1", status=200, sent=T,
    answered=T + 0.004, written=T + 0.003, read=T + 0.1, kafka=T + 0.3, partition=2, offset=7,
    stored=T + 0.5, evaluated=T + 0.9,
)  # fmt: skip
OTHER = msgspec.structs.replace(WHOLE, id="8899aabbccddeeff", host="node2", backend="node2")


def seen(*lines: LineSeen, errors: tuple[Fault, ...] = (), **other: Any) -> LogsSnapshot:
    return LogsSnapshot(lines=lines, deadline_s=30, errors=errors, **other)


def line(**parts: Any) -> LineSeen:
    return msgspec.structs.replace(WHOLE, **parts)


def fault(name: str) -> Fault:
    return Fault(code="LOGS_HOP_NOT_ASKED", object=name, summary="no answer")


_NOT_IN_KAFKA: dict[str, Any] = {"kafka": 0.0, "read": 0.0, "written": 0.0, "stored": 0.0, "evaluated": 0.0}
#: What was seen of the line of node1, the code, and the hop.
CASES: dict[str, tuple[dict[str, Any], str, str]] = {
    "whole": ({}, "", "alerter"),
    "not answered": (
        {**_NOT_IN_KAFKA, "answered": 0.0, "failure": "no answer in time"}, "LOGS_NOT_ANSWERED", "nginx"),
    "not written": ({**_NOT_IN_KAFKA, "in_file": False}, "LOGS_NOT_WRITTEN", "file"),
    "not read": ({**_NOT_IN_KAFKA, "in_file": True, "read_by_shipper": False}, "LOGS_NOT_READ", "filebeat"),
    "read and not delivered": (
        {**_NOT_IN_KAFKA, "in_file": True, "read_by_shipper": True}, "LOGS_NOT_DELIVERED", "kafka"),
    "not delivered, and nobody could look": (_NOT_IN_KAFKA, "LOGS_NOT_DELIVERED", "kafka"),
    "not stored": ({"stored": 0.0, "evaluated": 0.0}, "LOGS_NOT_STORED", "row"),
    "not stored, and evaluated": ({"stored": 0.0}, "LOGS_NOT_STORED", "row"),
    "not evaluated": ({"evaluated": 0.0}, "LOGS_NOT_EVALUATED", "alerter"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_first_missing_hop_is_named_with_its_host(case: str) -> None:
    parts, code, hop = CASES[case]
    snapshot = seen(line(**parts), OTHER)
    findings = [finding for finding in judge_logs(FLEET, snapshot) if finding.code != "LB_BACKEND_SILENT"]
    assert [(finding.code, finding.object) for finding in findings] == ([(code, "host/node1")] if code else [])
    first, second = describe_lines(FLEET, snapshot)
    assert (first["host"], first["hop"], first["state"]) == ("node1", hop, "missing" if code else "ok")
    assert (second["hop"], second["state"]) == ("alerter", "ok")


@pytest.mark.parametrize(
    ("faults", "parts", "state"),
    [
        (("topic/nginxlog",), {**_NOT_IN_KAFKA, "stored": T + 1}, "unknown"),
        (("topic/nginxlog",), _NOT_IN_KAFKA, "missing"),
        (("topic/nginxlog", "database"), _NOT_IN_KAFKA, "unknown"),
        (("database",), {"stored": 0.0}, "unknown"),
        # What was not asked at the end, and had been reached before.
        (("database", "obsctl-alerter/app1"), {}, "ok"),
        (("obsctl-alerter/app1",), {"evaluated": 0.0}, "unknown"),
    ],
)
def test_what_could_not_be_asked_is_not_taken_for_lost(
    faults: tuple[str, ...], parts: dict[str, Any], state: str
) -> None:
    snapshot = seen(line(**parts), errors=tuple(map(fault, faults)))
    (row,) = describe_lines(FLEET, snapshot)
    assert row["state"] == state
    codes = {finding.code for finding in judge_logs(FLEET, snapshot)} - {"LB_BACKEND_SILENT"}
    assert codes == ({"LOGS_NOT_STORED"} if state == "missing" else set())


def test_a_fleet_without_an_alerter_ends_with_the_row() -> None:
    fleet = msgspec.structs.replace(FLEET, hosts=FLEET.hosts[:2])
    snapshot = seen(line(evaluated=0.0), msgspec.structs.replace(OTHER, evaluated=0.0))
    assert judge_logs(fleet, snapshot) == []
    assert [(row["hop"], row["state"]) for row in describe_lines(fleet, snapshot)] == [("row", "ok")] * 2


def test_a_host_whose_line_stays_is_explained() -> None:
    stopped = HostLogs(name="node1", first=Sample(filebeat=Unit(pid=5, state="T")))
    parts = {**_NOT_IN_KAFKA, "in_file": True, "read_by_shipper": False}
    codes = [finding.code for finding in judge_logs(FLEET, seen(line(**parts), OTHER, hosts=(stopped,)))]
    assert codes == ["LOGS_NOT_READ", "LOGS_SHIPPER_SILENT"]


def test_a_back_end_that_answered_nothing() -> None:
    (finding,) = judge_logs(FLEET, seen(WHOLE))
    assert (finding.code, finding.object, finding.severity) == (
        "LB_BACKEND_SILENT", "backend/node2", Severity.CRITICAL,
    )  # fmt: skip
    # A trace goes through the balancers and asks nothing of the back ends.
    assert judge_traced(FLEET, seen(line(evaluated=0.0))) == []


@pytest.mark.parametrize("ahead_s", [-40.0, 0.0, 3600.0])
def test_a_clock_that_is_wrong_is_seen_and_corrected(ahead_s: float) -> None:
    wrong = line(written=WHOLE.written + ahead_s, read=WHOLE.read + ahead_s)
    clock = clock_of([wrong])
    assert clock.ahead_s == pytest.approx(ahead_s, abs=0.01)
    assert clock.error_s < 0.01
    hops = times(wrong, clock)
    assert hops["file"] == pytest.approx(0.003, abs=0.01)
    assert hops["filebeat"] == pytest.approx(0.1, abs=0.01)


def test_a_log_of_whole_seconds_says_less_of_the_clock() -> None:
    clock = clock_of([line(written=float(int(T)))])
    assert 0.4 < clock.error_s < 0.6
    # Within its error it is taken for right.
    assert times(WHOLE, clock)["file"] == 0.003


def test_more_lines_of_a_host_say_more_of_its_clock() -> None:
    slow = line(answered=T + 2.0)
    assert clock_of([slow]).error_s > 0.9
    assert clock_of([slow, WHOLE]).error_s < 0.01


def test_a_trace_says_what_each_hop_took() -> None:
    lines = [line(kafka=T + 0.1 + n / 100, stored=T + 0.2 + n / 100, id=str(n)) for n in range(10)]
    lines.append(line(**_NOT_IN_KAFKA, id="lost"))
    rows = {row["hop"]: row for row in describe_hops(seen(*lines))}
    assert list(rows) == ["nginx", "file", "filebeat", "kafka", "row"]
    assert (rows["nginx"]["lines"], rows["row"]["lines"]) == (11, 10)
    assert rows["row"]["p50_ms"] == pytest.approx(100)
    assert rows["kafka"]["p95_ms"] == pytest.approx(90)
    assert rows["row"]["since_request_p50_ms"] == pytest.approx(240)
