"""One check from the snapshot to the exit code, offline and live, in every format."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import stat
import threading
from pathlib import Path

import msgspec
import pytest
import typer
import yaml

from obsctl.checks.check import Check
from obsctl.cli import checking, commands, main, program, settings
from obsctl.core.errors import ExitCode
from obsctl.core.report import Fault, Finding, Severity
from obsctl.fleet import load
from obsctl.fleet.model import Fleet, Host


class Thermometer(msgspec.Struct, frozen=True, kw_only=True):
    degrees: int | None
    errors: tuple[Fault, ...] = ()


def _judge(fleet: Fleet, snapshot: Thermometer) -> list[Finding]:
    if snapshot.degrees is None or snapshot.degrees < 30:
        return []
    severity = Severity.WARNING if snapshot.degrees < 40 else Severity.CRITICAL
    return [Finding(code="TOO_HOT", severity=severity, object=fleet.hosts[0].name, summary="too | hot", hint="open")]


def _check(degrees: int | None, errors: tuple[Fault, ...] = ()) -> Check[Thermometer]:
    return Check(
        command="heat",
        snapshot_type=Thermometer,
        collect=lambda _fleet: Thermometer(degrees=degrees, errors=errors),
        judge=_judge,
        describe=lambda _fleet, s: {"degrees": s.degrees, "metrics": {"degrees": s.degrees}},
    )


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    fleet = tmp_path / "fleet.json"
    fleet.write_bytes(msgspec.json.encode(Fleet(hosts=(Host(name="node1", address="198.18.0.11"),))))

    def go(check: Check[Thermometer], *argv: str) -> ExitCode:
        app = commands.alone()

        @app.command(cls=commands.CheckCommand)
        def heat(ctx: typer.Context) -> ExitCode:
            return checking.run_check(ctx, check)

        found = typer.main.get_command(app)
        monkeypatch.setattr(program.ROOT, "resolve_command", lambda _ctx, args: (args[0], found, args[1:]))
        return main.run(["-i", str(fleet), "heat", *argv])

    return go


@pytest.mark.parametrize(("degrees", "code"), [(20, 0), (35, 1), (45, 2)])
@pytest.mark.parametrize("output", [o.value for o in settings.Output])
def test_the_exit_code_is_the_same_in_every_format(run, degrees: int, code: int, output: str) -> None:
    assert run(_check(degrees), "-o", output) == code


def test_missing_data_is_never_ok(run, capsys: pytest.CaptureFixture[str]) -> None:
    fault = Fault(code="HOST_UNREACHABLE", object="node1", summary="no route")
    assert run(_check(None, (fault,)), "-o", "json") == 3
    report = json.loads(capsys.readouterr().out)
    assert (report["schema"], report["command"], report["status"]) == ("obsctl/v1", "heat", "unknown")
    assert report["errors"] == [{"code": "HOST_UNREACHABLE", "object": "node1", "summary": "no route"}]


def test_an_inventory_that_takes_long_is_said_to(run, monkeypatch: pytest.MonkeyPatch) -> None:
    notes: list[str] = []
    said = threading.Event()
    monkeypatch.setattr(checking, "_SILENT_S", 0.0)
    monkeypatch.setattr(checking, "note", lambda _ctx, text: (notes.append(text), said.set()))
    monkeypatch.setattr(load, "load", lambda _source: (said.wait(10), Fleet())[1])
    run(_check(20))
    assert "still reading the inventory" in notes[0]


def test_a_fault_found_outranks_missing_data(run) -> None:
    assert run(_check(45, (Fault(code="X", object="y", summary="z"),))) == 2


def test_json_holds_the_whole_finding(run, capsys: pytest.CaptureFixture[str]) -> None:
    run(_check(35), "-o", "json")
    report = json.loads(capsys.readouterr().out)
    assert report["findings"] == [
        {
            "code": "TOO_HOT", "severity": "warning", "object": "node1", "summary": "too | hot", "evidence": {},
            "hint": "open", "doc": "docs/runbooks/TOO_HOT.md", "since": "", "caused_by": [],
        }
    ]  # fmt: skip
    assert report["checked_at"].endswith("Z")
    assert report["data"]["degrees"] == 35


def test_yaml_says_what_json_says(run, capsys: pytest.CaptureFixture[str]) -> None:
    run(_check(35), "-o", "yaml")
    report = yaml.safe_load(capsys.readouterr().out)
    assert report["findings"][0]["code"] == "TOO_HOT"


def test_ndjson_is_a_line_a_finding_and_the_report_last(run, capsys: pytest.CaptureFixture[str]) -> None:
    run(_check(35), "-o", "ndjson")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["kind"] for line in lines] == ["finding", "report"]


def test_nagios_is_one_line_with_numbers(run, capsys: pytest.CaptureFixture[str]) -> None:
    run(_check(35), "-o", "nagios")
    assert capsys.readouterr().out == "HEAT WARNING - node1: too / hot (TOO_HOT) | degrees=35\n"


def test_a_saved_snapshot_is_judged_offline(run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved = tmp_path / "seen.json"
    assert run(_check(35), "--save-snapshot", str(saved), "-o", "json") == 1
    live = json.loads(capsys.readouterr().out)
    assert run(_check(99), "--from-file", str(saved), "-o", "json") == 1
    offline = json.loads(capsys.readouterr().out)
    assert offline | {"took_ms": 0} == live | {"took_ms": 0}


@pytest.mark.parametrize("there", [False, True])
def test_a_snapshot_holds_no_channel_and_is_for_its_owner_only(run, tmp_path: Path, there: bool) -> None:
    saved = tmp_path / "seen.json"
    if there:
        saved.write_text("old")
        saved.chmod(0o644)
    channel = {"name": "hook", "type": "webhook", "url": "https://hook.example/T0KEN"}
    (tmp_path / "fleet.json").write_bytes(
        msgspec.json.encode(Fleet(hosts=(Host(name="node1", address="198.18.0.11"),), alert_channels=(channel,)))
    )
    assert run(_check(35), "--save-snapshot", str(saved)) == 1
    assert "T0KEN" not in saved.read_text()
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    assert run(_check(99), "--from-file", str(saved)) == 1


def test_a_snapshot_may_go_to_a_device(run) -> None:
    mode = Path("/dev/null").stat().st_mode
    assert run(_check(35), "--save-snapshot", "/dev/null") == 1
    assert Path("/dev/null").stat().st_mode == mode


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[1]",
        b'{"schema":"obsctl/snapshot/v1","command":"other"}',
        b"\xff\x00",
        b'{"schema":"\xff"}',
        b'{"fleet":' + b"[" * 50_000,
        b'{"schema":"obsctl/snapshot/v1","command":"heat","checked_at":"2026-01-01T00:00:00",'
        b'"fleet":{},"snapshot":{"degrees":1}}',
    ],
)
def test_a_file_that_is_no_snapshot_is_refused(run, tmp_path: Path, content: bytes) -> None:
    bad = tmp_path / "bad.json"
    bad.write_bytes(content)
    assert run(_check(1), "--from-file", str(bad)) == 78


def test_a_file_without_an_end_is_no_snapshot(run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(_check(1), "--from-file", "/dev/zero") == 78
    assert "larger than 64 MiB" in capsys.readouterr().err


def test_numbers_that_no_fleet_has_are_refused_and_no_bug(
    run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = tmp_path / "seen.json"
    assert run(_check(35), "--save-snapshot", str(saved)) == 1
    capsys.readouterr()
    impossible = dataclasses.replace(_check(35), judge=lambda _fleet, seen: [1 / (seen.degrees - 35)])
    assert run(impossible, "--from-file", str(saved)) == 78
    assert f"{saved} cannot be judged" in capsys.readouterr().err
    assert run(impossible) == 70, "what is live is a bug"


def test_what_was_seen_is_not_saved_again(run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved = tmp_path / "seen.json"
    run(_check(35), "--save-snapshot", str(saved))
    capsys.readouterr()
    assert run(_check(35), "--from-file", str(saved), "--save-snapshot", str(tmp_path / "more.json")) == 64
    assert "--save-snapshot" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["no/such/seen.json", "."])
def test_a_place_that_cannot_be_written_is_refused_before_anything_is_asked(
    run, tmp_path: Path, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []
    check = dataclasses.replace(_check(35), collect=lambda _fleet: asked.append(1))
    assert run(check, "--save-snapshot", str(tmp_path / place)) == 78
    assert "the snapshot cannot be written to" in capsys.readouterr().err
    assert not asked


def test_watch_until_ok_ends_at_ok(run, capsys: pytest.CaptureFixture[str]) -> None:
    seen = iter([35, 35, 20])
    check = Check(
        "heat", Thermometer, lambda _f: Thermometer(degrees=next(seen)), _judge, lambda _f, s: {"degrees": s.degrees}
    )
    assert run(check, "--watch", "0.01", "--until", "ok", "-o", "json") == 0
    assert [json.loads(line)["status"] for line in capsys.readouterr().out.splitlines()] == ["warning", "warning", "ok"]


@pytest.mark.parametrize("more", [("--until", "ok"), ("--watch", "1"), ("--watch", "1", "--until", "ok")])
def test_a_saved_snapshot_cannot_be_waited_for(run, tmp_path: Path, more: tuple[str, ...]) -> None:
    assert run(_check(1), "--from-file", str(tmp_path / "x"), *more) == 64


def test_an_end_of_no_watch_is_refused_with_what_to_type(run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(_check(20), "--until", "ok") == 64
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        "obsctl: --until needs --watch: one check has only one verdict\n  hint: obsctl heat --watch 2 --until ok\n"
    )


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "1e300"])
def test_a_watch_needs_a_time_that_can_pass(run, seconds: str) -> None:
    assert run(_check(1), "--watch", seconds) == 64


@pytest.mark.parametrize("output", ["table", "wide", "nagios"])
def test_what_a_host_calls_itself_cannot_draw_in_the_terminal(
    run, output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    fault = Fault(code="X", object="host/\x1b[2Jevil\x9b31m", summary="\x07 rang")
    assert run(_check(None, (fault,)), "-o", output) == 3
    text = capsys.readouterr().out
    assert "host/?[2Jevil?31m: ? rang" in text
    assert not set(text) & set("\x1b\x9b\x07")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (1.5e-7, "0"), (0.00125, "0.00125"), (1e22, "1" + "0" * 22), (3, "3"), (float("inf"), "U")],
)
def test_a_number_of_nagios_has_no_exponent(run, value: float, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    check = Check(
        "heat", Thermometer, lambda _f: Thermometer(degrees=1), _judge, lambda _f, _s: {"metrics": {"p": value}}
    )
    run(check, "-o", "nagios")
    assert capsys.readouterr().out == f"HEAT OK - all checks passed | p={text}\n"


def test_a_number_of_nagios_has_a_name_without_separators(run, capsys: pytest.CaptureFixture[str]) -> None:
    check = Check(
        "heat",
        Thermometer,
        lambda _f: Thermometer(degrees=1),
        _judge,
        lambda _f, _s: {"metrics": {"got_evil|name = 'x'": 1, "lag_obsctl-consumer": 2}},
    )
    run(check, "-o", "nagios")
    assert capsys.readouterr().out == "HEAT OK - all checks passed | got_evil_name____x_=1 lag_obsctl-consumer=2\n"


class _Clock:
    """Time that passes only in a check and in sleeping."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def test_frames_begin_as_often_as_asked_however_long_a_check_takes(run, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = _Clock()
    monkeypatch.setattr(checking, "time", clock)
    takes = iter([1.5, 0.0, 9.0, 0.0])
    began: list[float] = []

    def collect(_fleet: Fleet) -> Thermometer:
        began.append(clock.now)
        clock.now += next(takes)
        return Thermometer(degrees=20 if len(began) == 4 else 99)

    check = dataclasses.replace(_check(99), collect=collect)
    assert run(check, "--watch", "2", "--until", "ok") == 0
    assert began == [0.0, 2.0, 4.0, 13.0]


def test_what_follows_is_shown_when_asked_for(run, capsys: pytest.CaptureFixture[str]) -> None:
    def judge(_fleet: Fleet, _snapshot: Thermometer) -> list[Finding]:
        return [
            Finding(code="HEALTH_HOST_DOWN", severity=Severity.WARNING, object="host/node1", summary="is silent"),
            Finding(code="HEALTH_BACKEND_DOWN", severity=Severity.WARNING, object="backend/node1", summary="is away"),
        ]

    check = dataclasses.replace(_check(20), judge=judge)
    assert run(check) == 1
    folded = capsys.readouterr().out
    assert folded.startswith("heat: WARNING  node1 is down · 1 finding follows from it")
    assert "is away" not in folded
    assert run(check, "-v") == 1
    assert "is away" in capsys.readouterr().out
    run(check, "-o", "json")
    report = json.loads(capsys.readouterr().out)
    assert report["findings"][1]["caused_by"] == [{"code": "HEALTH_HOST_DOWN", "object": "host/node1"}]


@pytest.mark.parametrize(
    ("one_screen", "redrawn", "terminal", "rows"),
    [
        (False, False, True, None),
        (True, False, True, 40),
        (True, False, False, 40),
        (True, True, True, 23),
        (False, True, True, 23),
        (False, True, False, None),
    ],
)
def test_a_frame_has_the_rows_of_its_terminal_and_a_screen_no_more_than_its_own(
    monkeypatch: pytest.MonkeyPatch, one_screen: bool, redrawn: bool, terminal: bool, rows: int | None
) -> None:
    monkeypatch.setattr(checking.sys, "stdout", io.StringIO())
    monkeypatch.setattr(checking.sys.stdout, "isatty", lambda: terminal, raising=False)
    monkeypatch.setattr(checking.shutil, "get_terminal_size", lambda: os.terminal_size((80, 24)))
    assert checking._rows(one_screen=one_screen, redrawn=redrawn) == rows


def _findings(*found: tuple[str, str, Severity], errors: tuple[Fault, ...] = ()) -> Check[Thermometer]:
    def judge(_fleet: Fleet, _seen: Thermometer) -> list[Finding]:
        return [Finding(code=code, severity=severity, object=object_, summary="x") for code, object_, severity in found]

    return Check("heat", Thermometer, lambda _f: Thermometer(degrees=1, errors=errors), judge, lambda _f, _s: {})


_LAG = ("KAFKA_LAG", "group/a", Severity.WARNING)
_OTHER_LAG = ("KAFKA_LAG", "group/b", Severity.WARNING)
_DOWN = ("KAFKA_BROKER_DOWN", "broker/3", Severity.CRITICAL)


@pytest.mark.parametrize(
    ("options", "code", "left"),
    [
        ("", 2, 3),
        ("--ignore KAFKA_BROKER_DOWN", 1, 2),
        ("--ignore kafka_broker_down", 1, 2),
        ("--ignore KAFKA_*=broker/*", 1, 2),
        ("--ignore KAFKA_LAG=group/a --ignore KAFKA_BROKER_DOWN", 1, 1),
        ("--ignore KAFKA_*", 0, 0),
        ("--select KAFKA_LAG", 1, 2),
        ("--select KAFKA_LAG=group/b", 1, 1),
        ("--select KAFKA_LAG --ignore KAFKA_LAG=group/a", 1, 1),
        ("--select KAFKA_LAG=group/c", 0, 0),
    ],
)
def test_the_verdict_follows_from_what_is_left(
    run, options: str, code: int, left: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(_findings(_LAG, _OTHER_LAG, _DOWN), "-o", "json", *options.split()) == code
    report = json.loads(capsys.readouterr().out)
    assert (len(report["findings"]), len(report["ignored"])) == (left, 3 - left)
    assert all(finding["by"].startswith("--") for finding in report["ignored"])


def test_what_could_not_be_found_out_is_not_selected_away(run, capsys: pytest.CaptureFixture[str]) -> None:
    missing = (Fault(code="KAFKA_ANSWER_CUT", object="broker/2", summary="no time"),)
    unknown = ("VIP_HOLDER_UNKNOWN", "vip", Severity.UNKNOWN)
    check = _findings(_DOWN, unknown, ("KAFKA_LAG", "group/a", Severity.INFO), errors=missing)
    assert run(check, "--select", "KAFKA_LAG", "-o", "json") == 3
    assert [finding["code"] for finding in json.loads(capsys.readouterr().out)["ignored"]] == ["KAFKA_BROKER_DOWN"]
    ignored = ("--ignore", "KAFKA_ANSWER_CUT", "--ignore", "VIP_HOLDER_UNKNOWN")
    assert run(check, "--select", "KAFKA_LAG", *ignored) == 0


@pytest.mark.parametrize("output", ["table", "nagios"])
def test_what_is_ignored_is_counted(run, output: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(_findings(_LAG, _OTHER_LAG), "--ignore", "KAFKA_LAG", "-o", output) == 0
    said = capsys.readouterr().out
    assert "2 ignored" in said
    assert "group/a" not in said


@pytest.mark.parametrize("option", ["--select", "--ignore"])
def test_a_mistyped_code_is_refused_with_the_nearest(run, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Else a verdict would be OK because nothing was looked at."""
    assert run(_findings(_DOWN), option, "KAFKA_BROKR_DOWN") == 64
    said = capsys.readouterr().err
    assert "no finding has the code 'KAFKA_BROKR_DOWN'" in said
    assert "did you mean KAFKA_BROKER_DOWN?" in said


@pytest.mark.parametrize("wanted", ["KAFKA_BROKER_FENCED", "VIP_NO_HOLDER=vip", "LOGS_*"])
def test_a_code_that_the_check_never_makes_is_refused(run, wanted: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Else the verdict would be OK for ever."""
    assert run(_findings(_LAG, _DOWN), "--select", "KAFKA_LAG", "--select", wanted) == 64
    said = capsys.readouterr().err
    assert f"obsctl heat never finds {wanted.partition('=')[0]}" in said
    assert "it can find KAFKA_BROKER_DOWN, KAFKA_LAG\n" in said
    assert ("did you mean KAFKA_BROKER_DOWN?" in said) is (wanted == "KAFKA_BROKER_FENCED")
    assert run(_findings(_LAG), "--ignore", wanted) == 1, "one list of what is ignored serves all commands"


@pytest.mark.parametrize(
    ("severity", "fail_on", "code"),
    [
        (Severity.WARNING, "warning", 1),
        (Severity.WARNING, "unknown", 0),
        (Severity.UNKNOWN, "unknown", 3),
        (Severity.UNKNOWN, "critical", 0),
        (Severity.CRITICAL, "critical", 2),
        (Severity.CRITICAL, "warning", 2),
        (Severity.INFO, "warning", 0),
    ],
)
def test_a_verdict_below_what_fails_ends_with_0(
    run, severity: Severity, fail_on: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(_findings(("KAFKA_LAG", "a", severity)), "--fail-on", fail_on, "-o", "json") == code
    assert json.loads(capsys.readouterr().out)["status"] == severity.status.value


def test_a_saved_snapshot_says_of_when_it_is(run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved = tmp_path / "seen.json"
    run(_check(20), "--save-snapshot", str(saved), "-o", "json")
    checked_at = json.loads(capsys.readouterr().out)["checked_at"]
    assert run(_check(99), "--from-file", str(saved)) == 0
    assert capsys.readouterr().err == f"as of {checked_at}, from {saved}\n"


@pytest.fixture
def mutes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the state, empty."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "obsctl" / "mutes"


@pytest.fixture
def muted(run, mutes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Run ``obsctl mute`` with the inventory of ``run``."""
    resolve = type(program.ROOT).resolve_command

    def go(*argv: str) -> dict:
        with monkeypatch.context() as patch:
            patch.setattr(program.ROOT, "resolve_command", lambda ctx, args: resolve(program.ROOT, ctx, args))
            capsys.readouterr()
            assert main.run(["-i", str(tmp_path / "fleet.json"), "-o", "json", "mute", *argv]) == 0
        return json.loads(capsys.readouterr().out)["data"]

    return go


_WHY = ("--for", "30m", "--reason", "known | one")


def test_a_muted_finding_is_shown_and_does_not_decide(run, muted, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(_findings(_LAG, _DOWN)) == 2
    muted("KAFKA_BROKER_DOWN=broker/3", *_WHY, "--author", "anna")
    assert run(_findings(_LAG, _DOWN), "-o", "json") == 1
    report = json.loads(capsys.readouterr().out)
    (finding,) = report["muted"]
    assert (finding["code"], finding["reason"], finding["author"]) == ("KAFKA_BROKER_DOWN", "known | one", "anna")
    assert finding["until"].endswith("Z")
    assert run(_findings(_DOWN)) == 0
    table = capsys.readouterr().out
    assert "MUTED" in table
    assert "by anna: known | one" in table
    assert run(_findings(_DOWN), "-o", "nagios") == 0
    assert capsys.readouterr().out == "HEAT OK - all checks passed (1 muted)\n"


@pytest.mark.parametrize(
    ("worse", "why"),
    [
        ([("KAFKA_LAG", "group/a", Severity.CRITICAL)], "critical, and it was warning"),
        ([_LAG, _OTHER_LAG], "it is about group/b too"),
        ([_OTHER_LAG], "it is about group/b too"),
    ],
)
def test_a_mute_ends_when_things_get_worse(run, muted, worse: list, why: str) -> None:
    assert run(_findings(_LAG)) == 1
    muted("KAFKA_LAG", *_WHY)
    assert run(_findings(_LAG)) == 0
    assert run(_findings()) == 0
    assert run(_findings(_LAG)) == 0, "it may come and go"
    assert run(_findings(*worse)) > 0
    assert run(_findings(_LAG)) == 1, "what has ended does not begin again"
    (mute,) = muted("list")["mutes"]
    assert mute["state"].startswith(f"ended: {why}")


def test_a_mute_made_before_the_fault_takes_what_it_meets_first(run, muted) -> None:
    """A person who mutes before the work begins has seen no finding yet."""
    assert run(_findings()) == 0
    muted("KAFKA_LAG", *_WHY)
    assert run(_findings(_LAG, _OTHER_LAG)) == 0
    assert run(_findings(_LAG, _OTHER_LAG, ("KAFKA_LAG", "group/c", Severity.WARNING))) == 1


def test_missing_data_can_be_muted(run, muted) -> None:
    check = _findings(errors=(Fault(code="KAFKA_ANSWER_CUT", object="broker/2", summary="no time"),))
    assert run(check) == 3
    muted("KAFKA_ANSWER_CUT", *_WHY)
    assert run(check) == 0


def test_a_mute_can_be_ended_and_replaced(run, muted) -> None:
    muted("KAFKA_LAG", *_WHY)
    muted("add", "kafka_lag", "--for", "2h", "--reason", "longer")
    (mute,) = muted("list")["mutes"]
    assert mute["reason"] == "longer"
    muted("rm", "KAFKA_LAG")
    assert muted("list")["mutes"] == []
    assert run(_findings(_LAG)) == 1


def test_a_mute_is_of_one_inventory(run, muted, tmp_path: Path) -> None:
    muted("KAFKA_LAG", *_WHY)
    other = tmp_path / "other.json"
    other.write_bytes((tmp_path / "fleet.json").read_bytes())
    assert run(_findings(_LAG), "-i", str(other)) == 1


def test_a_saved_snapshot_is_not_muted(run, muted, tmp_path: Path) -> None:
    saved = str(tmp_path / "seen.json")
    muted("KAFKA_LAG", *_WHY)
    assert run(_findings(_LAG), "--save-snapshot", saved) == 0
    assert run(_findings(_LAG), "--from-file", saved) == 1


_MUTE = (
    b'{"code":"*","object":"*","created":"2026-01-01T12:00:00","until":"2099-01-01T12:00:00","reason":"","author":""}'
)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"inventory":"x","schema":"obsctl/mutes/v9"}',
        # Times without a zone.
        b'{"inventory":"x","schema":"obsctl/mutes/v1","mutes":[' + _MUTE + b"]}",
        b'{"inventory":"x","schema":"obsctl/mutes/v1","sights":{"heat":{"at":"2026-01-01T12:00:00","findings":[]}}}',
    ],
)
def test_a_file_that_holds_no_mutes_mutes_nothing_and_is_kept(
    run, muted, mutes: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    muted("KAFKA_LAG", *_WHY)
    (file,) = mutes.glob("*.json")
    file.write_bytes(content)
    assert run(_findings(_LAG)) == 1
    assert str(file) in capsys.readouterr().err
    assert file.read_bytes() == content


def test_a_state_that_cannot_be_written_takes_nothing_from_the_verdict(
    run, mutes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mutes.parent.parent.write_text("no folder")
    assert run(_findings(_LAG)) == 1
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("KAFKA_LGA", *_WHY), "did you mean KAFKA_LAG?"),
        (("KAFKA_LAG", "--for", "90d", "--reason", "x"), "longer than 30 days"),
        (("KAFKA_LAG", "--for", "soon", "--reason", "x"), "not a duration"),
        (("KAFKA_LAG", "--reason", "x"), "Missing option '--for'"),
        (("KAFKA_LAG=", *_WHY), "names no object"),
        (("rm", "KAFKA_LAG"), "is not muted"),
        (("lsit",), "Did you mean 'list'?"),
        (("KAFKA_LAG", "--for", "30m", "--reason", " "), "it is empty"),
        (("KAFKA_LAG", "--for", "30m", "--reason", "x" * 501), "at most 500 are allowed"),
        (("KAFKA_LAG", "--for", "30m", "--reason", "caf\udce9"), "not text in UTF-8"),
    ],
)
@pytest.mark.usefixtures("mutes")
def test_a_wrong_mute_is_refused(
    argv: tuple[str, ...], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet = tmp_path / "fleet.json"
    fleet.write_bytes(msgspec.json.encode(Fleet()))
    assert main.run(["-i", str(fleet), "mute", *argv]) == 64
    assert words in capsys.readouterr().err


def test_a_saved_snapshot_needs_no_inventory(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = tmp_path / "seen.json"
    run(_check(35), "--save-snapshot", str(saved))
    monkeypatch.chdir("/")
    assert run(_check(99), "--from-file", str(saved), "-i", "/no/such/inventory", "-o", "json") == 1
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["data"]["degrees"] == 35
