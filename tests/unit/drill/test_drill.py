"""Drills: outages from requests, stalls from rows, bounds, commands that restore what they break, findings."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from obsctl.checks.ask import ssh
from obsctl.checks.health.snapshot import HealthSnapshot
from obsctl.cli import main
from obsctl.core.errors import RefusedError, UsageError
from obsctl.core.report import Severity
from obsctl.drill import history, page, run
from obsctl.drill.faults import (
    KINDS,
    How,
    Target,
    aim,
    bound,
    break_command,
    refuse_alone,
    restore_command,
)
from obsctl.drill.inject import broken
from obsctl.drill.judge import describe_drills, judge_drill
from obsctl.drill.record import Drill, Event, Probe, Sample, longest_outage, longest_stall, longest_without_work
from obsctl.fleet.model import Database, Fleet, Host, Ssh, Vip

HOSTS = (
    Host(name="n1", address="198.18.0.11", groups=("lb", "backend", "kafka"), ssh=Ssh(port=2222)),
    Host(name="n2", address="198.18.0.12", groups=("lb", "backend", "kafka")),
    Host(name="db", address="198.18.0.21", groups=("mysql",)),
    Host(name="app", address="198.18.0.31", groups=("consumer",)),
)
FLEET = Fleet(hosts=HOSTS, database=Database(host="198.18.0.21", service="mariadb"), inventory="our hosts")


_AT = aim(FLEET, Target.VIP, How.KILL, "n1")


def probe(at: float, status: int = 200, took: float = 0.01) -> Probe:
    return Probe(at, took, status, "" if status else "refused")


def test_an_outage_lasts_from_the_first_failure_to_the_next_answer() -> None:
    probes = [probe(0.0), probe(1.0, 0), probe(2.0, 502), probe(3.5), probe(4.0, 0), probe(4.5)]
    assert longest_outage(probes) == msgspec.convert({"begins": 1.0, "seconds": 2.5}, type(longest_outage([])))


def test_an_outage_that_does_not_end_lasts_to_the_last_failure() -> None:
    assert longest_outage([probe(0.0), probe(1.0, 0), probe(2.0, 0, took=2.0)]).seconds == 3.0
    assert longest_outage([probe(0.0), probe(1.0)]).seconds == 0.0
    assert longest_outage([]).seconds == 0.0


def test_requests_are_taken_in_the_order_in_which_they_were_sent() -> None:
    assert longest_outage([probe(3.0), probe(1.0, 0), probe(0.0)]).seconds == 2.0


def test_rows_stand_still_between_two_looks_that_saw_more() -> None:
    looks = [Sample(0.0, 0), Sample(1.0, 10), Sample(2.0, 10), Sample(3.0, None), Sample(9.0, 11), Sample(9.5, 12)]
    assert longest_stall(looks) == msgspec.convert({"begins": 1.0, "seconds": 8.0}, type(longest_stall([])))
    assert longest_stall([Sample(0.0, 0), Sample(5.0, 0)]).seconds == 0.0


def test_an_alerter_is_away_between_two_looks_at_work() -> None:
    looks = [Sample(0.0, 1), Sample(0.5, 1), Sample(1.0, 0), Sample(1.5, 0), Sample(12.0, 1)]
    assert longest_without_work(looks).seconds == 11.5


@pytest.mark.parametrize("target", Target)
@pytest.mark.parametrize("how", How)
def test_each_target_can_be_broken_and_restored(target: Target, how: How, tmp_path: Path) -> None:
    host = {"lb": "n1", "backend": "n1", "kafka": "n1", "mysql": "db", "consumer": "app"}[KINDS[target].group]
    at = aim(FLEET, target, how, host)
    for command in (break_command(at), restore_command(at)):
        script = tmp_path / "script"
        script.write_text(command)
        assert subprocess.run(["sh", "-n", script], check=False).returncode == 0, command
    assert host in at.words


def test_a_cut_leaves_ssh_open_at_the_host_s_own_port() -> None:
    command = break_command(aim(FLEET, Target.VIP, How.CUT, "n1"))
    assert command.count("dport 2222") == 2, "nft and iptables"
    assert command.count("sport 2222") == 2


@pytest.mark.skipif(shutil.which("unshare") is None or shutil.which("nft") is None, reason="needs nft and namespaces")
def test_a_cut_host_is_healed_and_keeps_nothing() -> None:
    at = aim(msgspec.structs.replace(FLEET, vip=Vip(address="198.18.0.100")), Target.VIP, How.CUT, "n1")
    script = (
        "ip link add v0 type veth peer name v1\n"
        f"{break_command(at)}\nnft list tables\n{restore_command(at)}\n{restore_command(at)}\nnft list tables\necho end"
    )
    done = subprocess.run(["unshare", "-n", "sh", "-c", script], capture_output=True, text=True, check=False)
    if "Operation not permitted" in done.stderr:
        pytest.skip("no namespaces for this user")
    inet, *others, end = done.stdout.splitlines()
    # Kernels before 5.16 do not have the second one.
    assert (inet, end) == ("table inet obsctl_drill", "end"), done.stderr
    assert others in ([], ["table netdev obsctl_drill"])


def test_a_host_without_the_target_is_refused_with_those_that_have_it() -> None:
    with pytest.raises(UsageError) as caught:
        aim(FLEET, Target.VIP, How.STOP, "db")
    assert "n1, n2" in caught.value.hint


def test_a_database_without_a_service_cannot_be_broken() -> None:
    fleet = msgspec.structs.replace(FLEET, database=Database(host="198.18.0.21"))
    with pytest.raises(UsageError, match="no service of the database"):
        aim(fleet, Target.DATABASE, How.STOP, "db")


def test_the_only_balancer_is_not_cut() -> None:
    alone = msgspec.structs.replace(FLEET, hosts=HOSTS[:1])
    with pytest.raises(RefusedError, match="only balancer"):
        refuse_alone(alone, aim(alone, Target.VIP, How.CUT, "n1"))
    refuse_alone(FLEET, aim(FLEET, Target.VIP, How.CUT, "n1"))


def test_where_nobody_takes_over_the_fault_s_own_time_is_allowed() -> None:
    def allowed(fleet: Fleet, target: Target, host: str) -> tuple[float, float]:
        found = bound(fleet, aim(fleet, target, How.KILL, host), 15.0)
        return found.outage_s, found.stall_s

    assert allowed(FLEET, Target.VIP, "n1") == (KINDS[Target.VIP].outage_s, KINDS[Target.VIP].stall_s)
    alone = msgspec.structs.replace(FLEET, hosts=HOSTS[:1])
    assert allowed(alone, Target.VIP, "n1")[0] == KINDS[Target.VIP].outage_s + 15.0
    assert allowed(FLEET, Target.DATABASE, "db") == (0.0, KINDS[Target.DATABASE].stall_s + 15.0)
    assert allowed(FLEET, Target.CONSUMER, "app")[1] == KINDS[Target.CONSUMER].stall_s + 15.0, "one consumer host"


def test_a_host_that_is_cut_off_may_cost_what_all_that_it_runs_may_cost() -> None:
    """A broker's host that is a balancer takes the virtual address with it."""
    killed = bound(FLEET, aim(FLEET, Target.BROKER, How.KILL, "n1"), 15.0)
    cut = bound(FLEET, aim(FLEET, Target.BROKER, How.CUT, "n1"), 15.0)
    assert (killed.outage_s, killed.stall_s) == (0.0, KINDS[Target.BROKER].stall_s)
    assert (cut.outage_s, cut.outage_reason) == (KINDS[Target.NGINX].outage_s, KINDS[Target.NGINX].reason)
    assert (cut.stall_s, cut.stall_reason) == (KINDS[Target.BROKER].stall_s, KINDS[Target.BROKER].reason)


GOOD = Drill(
    id="0123456789ab",
    target="vip",
    how="kill",
    host="n1",
    unit="keepalived",
    begun_at=1_800_000_000.0,
    lasts_s=15.0,
    bound_s=6.0,
    stall_bound_s=15.0,
    probes=tuple(probe(n / 20, 0 if 60 <= n < 100 else 200) for n in range(400)),
    rows=tuple(Sample(n / 2, n * 9) for n in range(40)),
    events=(Event(3.0, "kill keepalived on n1"), Event(18.0, "restored")),
    expected=360,
    stored=360,
    counted=True,
    restored=True,
    healthy=True,
)


def codes(**changes: object) -> dict[str, Severity]:
    at = aim(FLEET, Target.VIP, How.KILL, "n1")
    return {one.code: one.severity for one in judge_drill(FLEET, msgspec.structs.replace(GOOD, **changes), at)}


def test_a_drill_within_its_bounds_has_no_finding() -> None:
    assert codes() == {}
    (row,) = describe_drills([GOOD])["drills"]
    assert (row["outage_s"], row["failed"], row["lost"], row["doubled"]) == (2.0, 40, 0, 0)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"bound_s": 1.9}, "DRILL_OUTAGE_TOO_LONG"),
        ({"rows": (Sample(0.0, 1), Sample(15.5, 2))}, "DRILL_STALL_TOO_LONG"),
        ({"alerter": (Sample(0.0, 1), Sample(15.5, 1))}, "DRILL_STALL_TOO_LONG"),
        ({"stored": 359}, "DRILL_LINES_LOST"),
        ({"doubled": 1}, "DRILL_LINES_DOUBLED"),
        ({"healthy": False}, "DRILL_NOT_HEALTHY"),
        ({"restored": False, "healthy": False}, "DRILL_NOT_RESTORED"),
    ],
)
def test_each_broken_promise_has_its_finding(changes: dict[str, object], code: str) -> None:
    assert codes(**changes) == {code: Severity.CRITICAL}


def test_what_was_not_counted_is_unknown_and_never_lost() -> None:
    assert codes(counted=False, stored=0) == {"DRILL_NOT_COUNTED": Severity.UNKNOWN}
    (row,) = describe_drills([msgspec.structs.replace(GOOD, counted=False, stored=0)])["drills"]
    assert (row["stored"], row["lost"], row["doubled"]) == (None, None, None)


def test_drills_are_kept_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert history.kept() == []
    other = msgspec.structs.replace(GOOD, id="ba9876543210")
    history.keep(GOOD)
    history.keep(other)
    assert history.kept() == [GOOD, other]
    (tmp_path / "obsctl" / "drills.jsonl").open("ab").write(b"{broken\n")
    assert history.kept() == [GOOD, other]


def test_a_history_that_is_damaged_keeps_what_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    history.keep(GOOD)
    with (tmp_path / "obsctl" / "drills.jsonl").open("ab") as file:
        for line in (b"\xff\x00", b'{"id":"\xff"}', b"[" * 50_000, b"{}"):
            file.write(line + b"\n")
    assert history.kept() == [GOOD]


def test_two_drills_that_end_at_once_are_both_kept(tmp_path: Path) -> None:
    keep = (
        "import sys, msgspec; from obsctl.drill import history; from obsctl.drill.record import Drill\n"
        "drill = msgspec.json.decode(sys.argv[1], type=Drill)\n"
        "for i in range(20): history.keep(msgspec.structs.replace(drill, id=f'{sys.argv[2]}-{i}'))"
    )
    drill = msgspec.json.encode(msgspec.structs.replace(GOOD, probes=())).decode()
    writers = [
        subprocess.Popen([sys.executable, "-c", keep, drill, name], env=os.environ | {"XDG_STATE_HOME": str(tmp_path)})
        for name in "ab"
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert len((tmp_path / "obsctl" / "drills.jsonl").read_bytes().splitlines()) == 40


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The commands that hosts are given; the first one ends as ``answers`` says."""
    told: list[str] = []
    monkeypatch.setattr(ssh, "run", lambda _host, command, **_: (told.append(command), ssh.Answer())[1])
    return told


def test_a_drill_of_somebody_else_s_is_not_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(ssh, "run", lambda _host, command, **_: (told.append(command), ssh.Answer(status=75))[1])
    with pytest.raises(RefusedError, match="another drill"), broken(_AT, 35, told.append):
        raise AssertionError("it was not broken")
    assert len(told) == 1, "nothing is restored, and its timer stays"


def test_a_fault_is_restored_and_its_timer_stopped(commands: list[str]) -> None:
    said: list[str] = []
    with broken(_AT, 35, said.append) as fault:
        assert not fault.restored
    assert (fault.restored, said) == (True, ["restored"])
    assert restore_command(_AT) in commands[1]
    assert "systemctl stop obsctl-drill.timer" in commands[1]


def test_where_the_breaking_was_interrupted_the_timer_has_the_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command may still run on the host, and break the target after it was restored."""
    told: list[str] = []

    def run(_host: Host, command: str, **_: object) -> ssh.Answer:
        told.append(command)
        if len(told) == 1:
            raise KeyboardInterrupt
        return ssh.Answer()

    monkeypatch.setattr(ssh, "run", run)
    with pytest.raises(KeyboardInterrupt), broken(_AT, 35, lambda _: None):
        pass
    assert restore_command(_AT) in told[1]
    assert "systemctl stop obsctl-drill.timer" not in told[1]


def test_a_second_interruption_does_not_end_the_restoration(monkeypatch: pytest.MonkeyPatch) -> None:
    restored = []

    def run(_host: Host, command: str, **_: object) -> ssh.Answer:
        if restore_command(_AT) in command and "systemd-run" not in command:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                os.kill(os.getpid(), number)
            restored.append(command)
        return ssh.Answer()

    monkeypatch.setattr(ssh, "run", run)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), broken(_AT, 35, lambda _: None):
        raise KeyboardInterrupt
    assert restored
    assert signal.getsignal(signal.SIGINT) is before


def test_a_host_that_is_silent_is_said_to_restore_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([ssh.Answer(), ssh.Answer(failure="no answer")])
    monkeypatch.setattr(ssh, "run", lambda *_, **__: next(answers))
    said: list[str] = []
    with broken(_AT, 35, said.append) as fault:
        pass
    assert not fault.restored
    assert "its own timer restores it 35 s after" in said[0]


def test_the_page_needs_no_other_file_and_escapes_what_it_shows(tmp_path: Path) -> None:
    written = tmp_path / "drill.html"
    drill = msgspec.structs.replace(GOOD, events=(Event(3.0, "<script>alert(1)</script>"),))
    page.write(written, [drill], judge_drill(FLEET, drill, aim(FLEET, Target.VIP, How.KILL, "n1")))
    text = written.read_text()
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert "http" not in text.replace("http-equiv", "")
    assert text.count('class="bad"') >= 10, "two seconds of failures"
    assert "0 lines" not in text


def test_a_drill_that_cannot_be_made_costs_nothing_of_those_before_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "no folder"))
    (tmp_path / "no folder").write_text("so nothing can be kept")
    inventory = tmp_path / "fleet.json"
    inventory.write_bytes(msgspec.json.encode(msgspec.structs.replace(FLEET, vip=Vip(address="198.18.0.100"))))
    looks = iter([None, RefusedError("the fleet is not healthy: NODE_ON_FIRE")])

    def healthy(_fleet: Fleet) -> HealthSnapshot:
        if refused := next(looks):
            raise refused
        return HealthSnapshot()

    monkeypatch.setattr(run, "require_healthy", healthy)
    monkeypatch.setattr(run, "run_drill", lambda *_, **__: GOOD)
    code = main.run(["-i", str(inventory), "drill", "all", "--yes", "-o", "json"])
    said = capsys.readouterr()
    report = json.loads(said.out)
    assert (code, report["status"]) == (3, "unknown")
    assert [row["id"] for row in report["data"]["drills"]] == [GOOD.id]
    assert [(error["code"], error["object"]) for error in report["errors"]] == [("DRILL_LEFT_OUT", "nginx/n1")]
    assert "NODE_ON_FIRE" in report["errors"][0]["summary"]
    assert "cannot be kept" in said.err


def test_a_report_that_cannot_be_written_is_refused_before_anything_is_broken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "require_healthy", lambda _fleet: pytest.fail("the fleet was asked"))
    argv = ["drill", "failover", "--target", "vip", "--yes", "--report", str(tmp_path / "no" / "drill.html")]
    assert main.run(argv) == 78
    assert "there is no folder" in capsys.readouterr().err
