"""``obsctl alert rules`` as a person or a pipeline calls it."""

from __future__ import annotations

import io
import json
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from obsctl.cli.main import run
from obsctl.core.errors import ExitCode

DEFAULTS = "roles/consumer/defaults/main.yml"


def test_the_roles_own_rules_are_listed(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["alert", "rules", "check", str(project / DEFAULTS), "-o", "json"]) == ExitCode.OK
    rules = {rule["name"]: rule for rule in json.loads(capsys.readouterr().out)["data"]["rules"]}
    assert rules["client-errors"] | {"open": []} == {
        "name": "client-errors",
        "kind": "frequency",
        "severity": "warning",
        "testable": True,
        "why_not": None,
        "open": [],
    }
    untestable = {name for name, rule in rules.items() if not rule["testable"]}
    own = {name for name, rule in rules.items() if rule["kind"] == "metric"}
    assert untestable == {"nginx-alerts", "no-requests", "silent-backend"} | own
    assert own
    assert all(rule["why_not"] for rule in rules.values() if not rule["testable"])


def test_faults_end_with_78_and_each_one_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "rules.yml"
    file.write_text("- {name: a, kind: match, filtr: x}\n- {name: b, kind: mtch}\n")
    assert run(["alert", "rules", "check", str(file)]) == ExitCode.CONFIG
    out, err = capsys.readouterr()
    assert out == ""
    for words in (f"{file}:1: [0]: ", "did you mean filter?", f"{file}:2: [1].kind: ", "did you mean match?"):
        assert words in err


def test_standard_input_is_read(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    text = b"- {name: a, kind: status_4xx, threshold: '{{ n }}'}\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
    assert run(["alert", "rules", "check", "-"]) == ExitCode.OK
    out, err = capsys.readouterr()
    assert "status_4xx" in out
    assert "a: threshold not checked" in err


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"\0"])
def test_what_cannot_be_read_is_named(
    content: bytes | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rules.yml"
    if content is not None:
        file.write_bytes(content)
    assert run(["alert", "rules", "check", str(file)]) == ExitCode.CONFIG
    assert str(file) in capsys.readouterr().err


def test_a_number_that_is_not_ours_is_remarked_and_a_slip_of_the_pen_is_a_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rules.yml"
    file.write_text(
        "- {name: load, kind: metric, metric: node_load1, above: 8}\n"
        "- {name: lag, kind: metric, metric: obsctl_consumer_lag, above: 8}\n"
    )
    assert run(["alert", "rules", "check", str(file)]) == ExitCode.OK
    _, err = capsys.readouterr()
    assert "load: node_load1 is not a metric of the consumer or the alerter" in err
    assert "lag:" not in err
    file.write_text("- {name: lag, kind: metric, metric: obsctl_consumer_lagg, above: 8}\n")
    assert run(["alert", "rules", "check", str(file)]) == ExitCode.CONFIG
    assert "did you mean obsctl_consumer_lag?" in capsys.readouterr().err


def test_a_replay_leaves_out_rules_about_the_pipeline_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules, log = tmp_path / "rules.yml", tmp_path / "access.log"
    rules.write_text("- {name: a, kind: metric, metric: up, below: 1}\n- {name: b, kind: match}\n")
    log.touch()
    command = ["alert", "rules", "replay", str(log), "--rules", str(rules), "-o", "json"]
    assert run(command) == ExitCode.OK
    out, err = capsys.readouterr()
    data = json.loads(out)["data"]
    assert ([rule["name"] for rule in data["rules"]], data["left_out"]) == (["b"], ["a"])
    assert "left out: a: about the pipeline's own numbers" in err


def replayed(rules: Path, log: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert run(["alert", "rules", "replay", str(log), "--rules", str(rules), "-o", "json"]) == ExitCode.OK
    out, err = capsys.readouterr()
    assert f"{log}: read as combined" in err
    return dict(json.loads(out)["data"])


@pytest.mark.parametrize(
    ("log", "begins"),
    [("ocatak_acunetix.gz", "2016-12-22T13:18:05Z"), ("ocatak_netsparker.gz", "2016-12-22T12:19:05Z")],
)
def test_a_scan_is_reported_within_its_first_minute(
    log: str, begins: str, real_logs: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = replayed(project / DEFAULTS, real_logs / log, capsys)
    for rule in ("client-request-rate", "client-errors"):
        sent = [message for message in data["messages"] if message["rule"] == rule]
        assert sent[0]["title"].startswith("[FIRING]")
        first = datetime.fromisoformat(sent[0]["at"]) - datetime.fromisoformat(begins)
        assert timedelta(0) <= first <= timedelta(minutes=1)


@pytest.mark.parametrize("log", ["apache_logs.gz", "ocatak_acunetix.gz", "ocatak_netsparker.gz"])
def test_the_page_has_the_figures(log: str, real_logs: Path, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = replayed(project / DEFAULTS, real_logs / log, capsys)
    assert data["totals"]["messages"] == len(data["messages"]) == sum(rule["messages"] for rule in data["rules"])
    assert data["totals"]["unreadable"] == 0
    wanted = [
        f"| `{log}` | `{r['name']}` | {r['fires']} | {r['messages']} | {r['first']} | {r['last']} |"
        for r in data["rules"]
        if r["fires"]
    ]
    page = (project / "docs/reference/alerting.md").read_text()
    table = page.split("<!-- replay of the default rules -->")[1].split("<!-- end -->")[0]
    assert [line for line in table.splitlines() if f"`{log}`" in line] == wanted


def test_a_replay_shows_each_message_in_the_wide_table_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules, log = tmp_path / "rules.yml", tmp_path / "access.log"
    rules.write_text("- {name: failures, kind: match, filter: 'status:500', by: [host]}\n")
    log.write_text('192.0.2.1 - - [15/Jan/2027:08:00:00 +0000] "GET / HTTP/1.1" 500 5 "-" "x"\nno line\n')
    command = ["alert", "rules", "replay", str(log), "--rules", str(rules), "--log-format", "combined", "--host", "lb1"]
    assert run(command) == ExitCode.OK
    out, err = capsys.readouterr()
    assert "failures  1      2" in out
    assert "FIRING" not in out
    assert f"{log}:2: cannot be read and is left out" in err
    assert run([*command, "-o", "wide"]) == ExitCode.OK
    out, _ = capsys.readouterr()
    assert "[FIRING] failures lb1" in out
    assert "[RESOLVED] failures lb1" in out
    assert "failures  host:lb1  2027-01-15T08:00:00Z  2027-01-15T08:00:59Z  1 line" in out


def test_a_replay_reads_standard_input_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["alert", "rules", "replay", "-", "--rules", "-"]) == ExitCode.USAGE
    assert "standard input can be read only once" in capsys.readouterr().err


def test_a_replay_needs_rules_that_are_complete(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules = tmp_path / "rules.yml"
    rules.write_text("- {name: a, kind: status_4xx, threshold: '{{ n }}'}\n")
    assert run(["alert", "rules", "replay", "x", "--rules", str(rules)]) == ExitCode.CONFIG
    assert "only the playbook can evaluate" in capsys.readouterr().err
    log = tmp_path / "access.log"
    log.touch()
    rules.write_text(f"{rules.read_text()}- {{name: b, kind: match}}\n")
    assert run(["alert", "rules", "replay", str(log), "--rules", str(rules), "-o", "json"]) == ExitCode.OK
    out, err = capsys.readouterr()
    data = json.loads(out)["data"]
    assert ([rule["name"] for rule in data["rules"]], data["left_out"]) == (["b"], ["a"])
    assert "left out: a: threshold is Jinja text" in err


def test_a_replay_has_the_rules_of_the_inventory_by_default(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log, fleet = tmp_path / "access.log", tmp_path / "fleet.json"
    log.write_text('192.0.2.1 - - [15/Jan/2027:08:00:00 +0000] "GET / HTTP/1.1" 500 5 "-" "x"\n')
    rule = {"name": "failures", "kind": "match", "filter": "status:500"}
    fleet.write_text(json.dumps({"schema": "obsctl/fleet/v1", "alert_rules": [rule]}))
    assert run(["-i", str(fleet), "alert", "rules", "replay", str(log), "-o", "json"]) == ExitCode.OK
    (found,) = json.loads(capsys.readouterr().out)["data"]["rules"]
    assert (found["name"], found["fires"]) == ("failures", 1)


def test_a_file_of_rules_is_no_log(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules = str(project / DEFAULTS)
    assert run(["alert", "rules", "replay", rules, "--rules", rules]) == ExitCode.USAGE
    assert "give a rules file with --rules" in capsys.readouterr().err
