"""``obsctl consumer`` on the control node: what is run on the consumer's host, and what is made of its answer.

A stand-in on PATH plays the ssh client.
"""

from __future__ import annotations

import json
import os
import pty
import shlex
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from obsctl.cli import main
from obsctl.core.errors import ExitCode
from obsctl.fleet.model import Database, Fleet, Host

PLAN = {
    "topic": "nginxlog", "partition": 3, "cluster_id": "c", "topic_id": "t", "source_id": 7, "position": 900,
    "first": 40, "end": 150, "target": 40, "read_again": 110, "skipped": 0, "gone": 0,
}  # fmt: skip


def report(command: str, data: object, status: str = "ok") -> str:
    return json.dumps(
        {"schema": "obsctl/v1", "command": command, "status": status, "checked_at": "2026-01-01T00:00:00.000Z",
         "took_ms": 5, "findings": [], "errors": [], "data": data}
    )  # fmt: skip


def reset_report(*, dry_run: bool) -> str:
    return report("consumer reset", {"dry_run": dry_run, "plan": PLAN, "in_words": "110 offsets are read again"})


LINES = {
    "reason": "parse", "since": "2026-01-01T00:00:00.000Z", "until": "2026-01-02T00:00:00.000Z", "examined": 3,
    "moved": 2, "known": 0, "stays": {"parse": 1}, "cut": 0, "left": 0,
}  # fmt: skip


class Ssh:
    """The client's stand-in: answers in turn, and remembers each remote command line."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.fleet = folder / "fleet.json"
        self.program = folder / "bin" / "ssh"
        self.program.parent.mkdir()
        self.program.write_text(
            f"#!/bin/bash\nn=$(ls {folder} | grep -c '^asked-'); printf '%s' \"${{@: -1}}\" > {folder}/asked-$n\n"
            f"printf '%s\\n' \"${{@: -2:1}}\" > {folder}/host; . {folder}/answer-$n\n"
        )
        self.program.chmod(0o755)
        self.hosts("app1", "app2")

    def hosts(self, *names: str) -> None:
        hosts = tuple(Host(name=name, address=f"192.0.2.{n}", groups=("consumer",)) for n, name in enumerate(names, 1))
        self.fleet.write_bytes(msgspec.json.encode(Fleet(hosts=hosts)))

    def answers(self, *answers: tuple[str, int]) -> None:
        for number, (output, status) in enumerate(answers):
            (self._folder / f"answer-{number}").write_text(f"cat <<'EOF'\n{output}\nEOF\nexit {status}\n")

    @property
    def asked(self) -> list[str]:
        return [path.read_text() for path in sorted(self._folder.glob("asked-*"))]

    @property
    def host(self) -> str:
        return (self._folder / "host").read_text().strip()


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ssh:
    made = Ssh(tmp_path)
    monkeypatch.setenv("PATH", f"{made.program.parent}:/usr/bin:/bin")
    return made


def run(ssh: Ssh, *arguments: str) -> ExitCode | int:
    return main.run(["consumer", *arguments, "-i", str(ssh.fleet), "-o", "json"])


def test_a_replay_runs_on_the_first_host_as_the_consumers_user(ssh: Ssh, capsys) -> None:
    ssh.answers((report("consumer replay", {"dry_run": False, "lines": LINES}, "warning"), 1))
    code = run(ssh, "replay", "--reason", "it's", "--since", "2026-01-01T01:00+01:00", "--limit", "5")
    out, _ = capsys.readouterr()
    assert code == 1
    assert json.loads(out)["data"]["lines"] == LINES
    assert ssh.host == "192.0.2.1"
    (asked,) = ssh.asked
    program = shlex.join(
        ["/opt/obsctl/venv/bin/obsctl", "consumer", "replay", "--reason", "it's", "--since", "2026-01-01T00:00:00.000Z",
         "--limit", "5", "--config", "/etc/obsctl/consumer.yml", "-q", "-o", "json"]
    )  # fmt: skip
    shell = f"sh -c {shlex.quote(f'exec </dev/null; {program} 2>&1')}"
    assert f"runuser -u obsctl-consumer -- {shell};" in asked
    assert f"sudo -n -u obsctl-consumer -- {shell};" in asked


def test_a_dry_run_says_so_and_another_host_may_be_chosen(ssh: Ssh, capsys) -> None:
    ssh.answers((report("consumer replay", {"dry_run": True, "lines": LINES}), 0))
    assert run(ssh, "replay", "--reason", "parse", "--since", "7d", "--dry-run", "--host", "app2") == 0
    _, err = capsys.readouterr()
    assert "dry run: nothing was changed" in err
    assert ssh.host == "192.0.2.2"
    assert " --dry-run " in ssh.asked[0]


def test_the_hosts_own_words_and_exit_code(ssh: Ssh, capsys) -> None:
    ssh.answers(("obsctl: the cluster has no topic nowhere\n  hint: obsctl kafka partitions lists them", 77))
    assert run(ssh, "reset", "--topic", "nowhere", "--partition", "0", "--to", "0", "--yes") == 77
    out, err = capsys.readouterr()
    assert out == ""
    assert "app1: the cluster has no topic nowhere" in err
    assert "hint: obsctl kafka partitions lists them" in err


@pytest.mark.parametrize(
    ("output", "status", "words"),
    [
        ("ssh: connect to host 192.0.2.1 port 22: No route to host", 255, "it accepts no command; ssh says: no reason"),
        ("sudo: a password is required", 1, "sudo: a password is required"),
        ("sh: 1: /opt/obsctl/venv/bin/obsctl: not found", 127, "not found"),
        ("", 0, "it said nothing"),
    ],
)
def test_a_host_that_brings_no_report_is_unknown(ssh: Ssh, capsys, output: str, status: int, words: str) -> None:
    ssh.answers((output, status))
    assert run(ssh, "replay", "--reason", "parse", "--since", "7d") == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert "hint: " in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("replay", "--reason", "parse", "--since", "yesterday"), "neither a time"),
        (("replay", "--reason", "parse", "--since", "1h", "--until", "2h"), "not later than --since"),
        (("replay", "--reason", "parse", "--since", "7d", "--host", "db1"), "no host in the group consumer"),
        (("replay", "--since", "7d"), "--reason"),
        (("reset", "--topic", "t", "--partition", "0", "--to", "now", "--yes"), "not earliest, latest"),
        (("reset", "--topic", "t", "--partition", "0", "--to", "0"), "there is no terminal"),
    ],
)
def test_what_cannot_be_carried_out_is_said_before_anything_runs(ssh: Ssh, capsys, arguments, words: str) -> None:
    assert run(ssh, *arguments) == 64
    assert words in capsys.readouterr().err
    assert ssh.asked == []


def test_an_inventory_without_a_consumer(ssh: Ssh, capsys) -> None:
    ssh.hosts()
    assert run(ssh, "replay", "--reason", "parse", "--since", "7d") == 64
    assert run(ssh, "status") == 3


def codes(answer: str) -> dict[str, str]:
    return {finding["code"]: finding["severity"] for finding in json.loads(answer)["findings"]}


def test_a_status_of_what_does_not_answer(ssh: Ssh, capsys, tmp_path: Path) -> None:
    """Each side costs its own part."""
    (tmp_path / "reader").write_text("reader-4711")
    hosts = (Host(name="app1", address="192.0.2.1", groups=("consumer",)),)
    database = Database(host="127.0.0.1", port=1, service="mariadb", reader_password=f"file:{tmp_path}/reader")
    ssh.fleet.write_bytes(msgspec.json.encode(Fleet(hosts=hosts, database=database)))
    ssh.answers(("", 255))
    assert run(ssh, "status") == 2
    assert codes(capsys.readouterr().out) == {
        "HEALTH_HOST_NOT_ASKED": "unknown",
        "HEALTH_DATABASE_DOWN": "critical",
        "HEALTH_LAYER_NOT_ASKED": "unknown",  # the inventory names no brokers
    }


def test_a_status_without_the_readers_password_is_unknown(ssh: Ssh, capsys, tmp_path: Path) -> None:
    hosts = (Host(name="app1", address="192.0.2.1", groups=("consumer",)),)
    database = Database(host="127.0.0.1", port=1, reader_password=f"file:{tmp_path}/nowhere")
    ssh.fleet.write_bytes(msgspec.json.encode(Fleet(hosts=hosts, database=database)))
    page = json.dumps({"status": "ok", "lines": {"stored": 7}, "notices": {"nginxlog": {"message": "created again"}}})
    ssh.answers((f"unit obsctl-consumer active\nunit obsctl-alerter failed\npage consumer {page}", 0))
    assert run(ssh, "status") == 3
    out = capsys.readouterr().out
    assert codes(out) == {"HEALTH_LAYER_NOT_ASKED": "unknown", "CONSUMER_NOTICE": "info"}, (
        "the alerter is not asked for"
    )
    assert json.loads(out)["data"]["hosts"][0] | {"started_at": None} == {
        "host": "app1", "unit": "active", "status": "ok", "stored": 7, "known": None, "quarantined": None,
        "fenced": None, "missing_offsets": None, "read_by": None, "native": None, "native_faults": None,
        "last_commit_at": None, "started_at": None,
    }  # fmt: skip


def on_a_terminal(ssh: Ssh, answer: str) -> tuple[int, str]:
    """Call reset as a person does; return the exit code and what stands on the terminal."""
    ours, theirs = pty.openpty()
    argv = ["consumer", "reset", "--topic", "nginxlog", "--partition", "3", "--to", "earliest", "-i", str(ssh.fleet)]
    process = subprocess.Popen(
        [sys.executable, "-c", "from obsctl.cli.main import main; main()", *argv],
        stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    os.close(theirs)
    os.write(ours, f"{answer}\n".encode())
    out, _ = process.communicate(timeout=30)
    os.close(ours)
    return process.returncode, out


def test_a_person_is_asked_with_the_plan_in_words(ssh: Ssh) -> None:
    ssh.answers((reset_report(dry_run=True), 0), (reset_report(dry_run=False), 0))
    code, out = on_a_terminal(ssh, "y")
    assert code == 0, out
    assert "110 offsets are read again. Move it?" in out
    plan, deed = ssh.asked
    assert " --dry-run " in plan
    assert " --yes --expected 900 " in deed, "not if somebody moves it back meanwhile"
    assert "--yes" not in plan


def test_a_person_who_says_no_changes_nothing(ssh: Ssh) -> None:
    ssh.answers((reset_report(dry_run=True), 0))
    code, out = on_a_terminal(ssh, "n")
    assert code == 77
    assert "nothing was moved" in out
    assert len(ssh.asked) == 1
