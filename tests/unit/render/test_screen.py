"""What people see of a long report: causes before consequences, the worst first, and no more than fits."""

from __future__ import annotations

import pytest

from obsctl.core.layout import Layout
from obsctl.core.report import Cause, Fault, Finding, Report, Severity, Status
from obsctl.render import View, render


@pytest.fixture(autouse=True)
def _wide_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")


LAYOUTS = (Layout("layers", "Layers", ("layer",)), Layout("hosts", "Hosts", ("host",)))


def _finding(number: int, severity: Severity = Severity.CRITICAL, cause: int | None = None) -> Finding:
    return Finding(
        code=f"CODE_{number}",
        severity=severity,
        object=f"host/node{number}",
        summary="it is broken",
        hint=f"mend {number}",
        caused_by=() if cause is None else (Cause(f"CODE_{cause}", f"host/node{cause}"),),
    )


def _report(*findings: Finding, errors: tuple[Fault, ...] = (), hosts: int = 5) -> Report:
    return Report(
        command="health",
        status=Status.CRITICAL,
        checked_at="2026-01-01T00:00:00.000Z",
        took_ms=1,
        headline="node1 is down",
        findings=findings,
        errors=errors,
        data={
            "layers": [{"layer": f"layer{i}"} for i in range(8)],
            "hosts": [{"host": f"host{i}"} for i in range(hosts)],
        },
    )


def _lines(report: Report, **view: int | bool | None) -> list[str]:
    return render(report, "table", LAYOUTS, View(**view)).split("\n")


CHAIN = (_finding(1), _finding(2, cause=1), _finding(3, Severity.WARNING, cause=2))


def test_the_first_line_says_the_verdict_and_the_cause() -> None:
    assert _lines(_report(*CHAIN))[0].startswith("health: CRITICAL  node1 is down")


def test_what_follows_is_named_and_folded() -> None:
    text = "\n".join(_lines(_report(*CHAIN)))
    assert "2 follow from it: CODE_2 host/node2, CODE_3 host/node3 (-v shows them)" in text
    assert "mend 2" not in text
    assert "1 follows from it" in "\n".join(_lines(_report(*CHAIN[:2])))


def test_what_follows_is_shown_below_its_cause_when_asked_for() -> None:
    lines = _lines(_report(_finding(1), _finding(4), *CHAIN[1:]), consequences=True)
    order = [line.split()[1] for line in lines if "it is broken" in line]
    assert order == ["CODE_1", "CODE_2", "CODE_3", "CODE_4"]
    assert lines[3].startswith("    CRITICAL")
    assert not any("follow" in line for line in lines)


def test_what_follows_from_several_causes_is_shown_once() -> None:
    both = Finding(
        code="CODE_9", severity=Severity.CRITICAL, object="kafka", summary="it is broken",
        caused_by=(Cause("CODE_1", "host/node1"), Cause("CODE_2", "host/node2")),
    )  # fmt: skip
    lines = _lines(_report(_finding(1), _finding(2), both), consequences=True)
    assert sum("CODE_9" in line for line in lines) == 1


def test_programs_get_every_finding() -> None:
    for output in ("json", "ndjson", "yaml"):
        text = render(_report(*CHAIN), output, LAYOUTS, View(rows=3))
        assert all(finding.code in text for finding in CHAIN)
        assert "caused_by" in text


@pytest.mark.parametrize("findings", [0, 1, 5, 12, 60])
@pytest.mark.parametrize("hosts", [5, 60])
@pytest.mark.parametrize("columns", [80, 160])
@pytest.mark.parametrize("rows", [12, 24, 40])
def test_a_screen_is_never_longer_than_there_is_room(
    findings: int, hosts: int, columns: int, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    errors = (Fault(code="X", object="y", summary="not asked"),)
    lines = _lines(_report(*map(_finding, range(findings)), errors=errors, hosts=hosts), rows=rows)
    assert len(lines) <= rows
    assert all(len(line) <= columns for line in lines)
    assert findings == 0 or "CODE_0" in lines[1]
    whole = _lines(_report(*map(_finding, range(findings)), errors=errors, hosts=hosts))
    cut = len(whole) > rows
    assert any("-v shows them" in line or "more rows: obsctl health -v" in line for line in lines) == cut


def test_what_is_left_out_is_counted() -> None:
    lines = _lines(_report(*map(_finding, range(60))), rows=24)
    shown = sum("it is broken" in line for line in lines)
    assert f"  {60 - shown} more findings: -v shows them" in lines


def test_the_overview_has_its_place_below_the_worst() -> None:
    lines = _lines(_report(*map(_finding, range(60))), rows=24)
    assert "Layers" in lines
    assert "layer7" in lines
