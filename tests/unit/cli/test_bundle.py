"""``obsctl bundle``: everything of a sick fleet in one file, and no secret from any source."""

from __future__ import annotations

import json
import subprocess
import tarfile
from pathlib import Path

import msgspec
import pytest
from tests.contract.docs.program import COMMANDS

from obsctl.checks.ask import ssh
from obsctl.checks.check import Check
from obsctl.cli import main
from obsctl.cli.bundle import archive, command, host_parts
from obsctl.cli.commands import CheckCommand
from obsctl.core.report import Fault, Finding, Severity
from obsctl.fleet.model import Database, Fleet, Host, Vip

#: Known by the reference alone: nothing beside it says that it is a secret.
KNOWN = "kn0wn-by-value"
PATTERN = "Sent1nel-Value"


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    said: str
    errors: tuple[Fault, ...] = ()


def _check(command: str) -> Check[Seen]:
    def judge(_fleet: Fleet, seen: Seen) -> list[Finding]:
        return [Finding(code="X", severity=Severity.CRITICAL, object="x", summary=seen.said)]

    said = f"the answer was {KNOWN} and token={PATTERN}"
    return Check(command, Seen, lambda _fleet: Seen(said=said), judge, lambda _fleet, seen: {"said": seen.said})


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("READER", KNOWN)
    monkeypatch.chdir(tmp_path)
    hosts = (
        Host(name="node1", address="198.18.0.11", groups=("lb", "kafka", "filebeat", "backend", "consumer")),
        Host(name="node2", address="198.18.0.12", groups=("mysql",)),
    )
    channel = {"name": "hook", "type": "webhook", "url": f"https://hook.example/{PATTERN}"}
    made = Fleet(
        vip=Vip(address="198.18.0.100", test_secret="env:NOT_SET"),
        hosts=hosts,
        database=Database(host="198.18.0.12", service="mysqld", reader_password="env:READER"),
        alert_channels=(channel,),
    )
    path = tmp_path / "fleet.json"
    path.write_bytes(msgspec.json.encode(made))
    return path


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Node1 says secrets in each of its answers, node2 cannot be reached; the commands that were asked."""
    asked: list[str] = []

    def run(host: Host, command: str, *, deadline_s: float) -> ssh.Answer:
        asked.append(command)
        if host.name == "node2":
            return ssh.Answer(failure=f"no route to host (password={PATTERN})")
        text = f"{KNOWN}\npassword: {PATTERN}\nGET /x?access_token={PATTERN} HTTP/1.1\nworker_processes 2;"
        status = 1 if "nginx -T" in command else 0
        return ssh.Answer(output=f"{text}\nobsctl-bundle-status {status}\n")

    monkeypatch.setattr(ssh, "run", run)
    monkeypatch.setattr(command, "_checks", lambda: [_check("health"), _check("kafka status")])
    return asked


def held(path: Path) -> dict[str, str]:
    with tarfile.open(path) as archive:
        files = {entry.name: archive.extractfile(entry) for entry in archive.getmembers()}
        return {name.partition("/")[2]: file.read().decode() for name, file in files.items() if file}


@pytest.mark.usefixtures("hosts")
def test_no_secret_of_any_source_is_in_it(fleet: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["-i", str(fleet), "bundle", "--to", "b.tar.gz", "-o", "json"]) == 0
    said = capsys.readouterr()
    files = held(tmp_path / "b.tar.gz")
    everything = json.dumps(files) + said.out + said.err
    assert KNOWN not in everything
    assert PATTERN not in everything
    assert "worker_processes 2;" in files["hosts/node1/nginx-T.txt"]
    assert "the answer was ***" in files["reports/health.json"]
    assert "the answer was ***" in json.loads(files["reports/health.json"])["headline"]
    assert "env:READER" in files["fleet.json"], "a reference is no secret"
    assert (tmp_path / "b.tar.gz").stat().st_mode & 0o777 == 0o600


@pytest.mark.usefixtures("hosts")
def test_it_says_what_it_holds_and_what_it_could_not_get(
    fleet: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["-i", str(fleet), "bundle", "--to", "b.tar.gz", "-o", "json"]) == 0
    data = json.loads(capsys.readouterr().out)["data"]
    files = held(tmp_path / "b.tar.gz")
    assert {row["name"] for row in data["files"]} | {"manifest.json"} == set(files)
    missing = {row["name"]: row["why"] for row in data["missing"]}
    assert missing["hosts/node2"].startswith("no route to host")
    assert missing["hosts/node1/nginx-T.txt"] == "exit status 1"
    assert "env:NOT_SET" in missing
    assert set(command.LEFT_OUT) <= {name.partition("/")[2][:-5].replace("-", " ") for name in missing if "/" in name}
    assert json.loads(files["manifest.json"])["missing"] == data["missing"]


def test_a_host_that_cannot_be_reached_is_asked_once(fleet: Path, hosts: list[str]) -> None:
    assert main.run(["-i", str(fleet), "bundle", "--to", "b.tar.gz", "-q"]) == 0
    (node1, _) = msgspec.json.decode(fleet.read_bytes(), type=Fleet).hosts
    assert len(hosts) == len(host_parts.parts_of(msgspec.json.decode(fleet.read_bytes(), type=Fleet), node1)) + 1


def test_a_dry_run_asks_nothing_and_writes_nothing(
    fleet: Path, hosts: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["-i", str(fleet), "bundle", "--dry-run", "-o", "json"]) == 0
    parts = {part["name"]: part["command"] for part in json.loads(capsys.readouterr().out)["data"]["parts"]}
    assert parts["hosts/node1/nginx-T.txt"] == "nginx -T"
    assert parts["snapshots/health.json"] == "obsctl health"
    assert hosts == []
    assert [path.name for path in tmp_path.iterdir()] == ["fleet.json"]


@pytest.mark.usefixtures("hosts")
def test_ctrl_c_leaves_no_file(fleet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tarfile.TarFile, "addfile", interrupted)
    assert main.run(["-i", str(fleet), "bundle", "--to", "b.tar.gz"]) == 130
    assert [path.name for path in tmp_path.iterdir()] == ["fleet.json"]


def test_a_place_that_cannot_take_it_is_refused_before_anything_is_asked(
    fleet: Path, hosts: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "there.tar.gz").write_text("mine")
    for to, words in (("there.tar.gz", "exists already"), ("b.zip", "does not end in"), ("no/b.tar.gz", "be written")):
        assert main.run(["-i", str(fleet), "bundle", "--to", to]) in {64, 78}
        assert words in capsys.readouterr().err
    assert hosts == []
    assert (tmp_path / "there.tar.gz").read_text() == "mine"


def test_a_long_text_is_cut_at_a_line_and_what_does_not_fit_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "LONGEST_TEXT", 100)
    monkeypatch.setattr(archive, "LONGEST_ARCHIVE", 200)
    contents = archive.Contents()
    contents.text("a", "".join(f"line {number}\n" for number in range(100)))
    assert contents.files["a"].startswith(b"line ")
    assert contents.files["a"].endswith(b"line 99\n")
    assert contents.cut == ["a"]
    contents.text("b", "x" * 100)
    contents.text("c", "x" * 100)
    assert "would exceed" in contents.missing["c"]


def test_a_text_that_a_host_has_cut_loses_the_rest_of_a_line() -> None:
    """Else the second half of a secret would stand there, without the word that names it."""
    text = f"{PATTERN}\n" + "x" * 1_000_000 + "\nobsctl-bundle-status 0\n"
    assert PATTERN not in host_parts.read(text)[0]


@pytest.mark.parametrize(
    ("command", "text", "wrong"),
    [("echo one; echo two >&2", "one\ntwo", ""), ("echo 'a b'; exit 3", "a b", "exit status 3")],
)
def test_a_shell_runs_what_a_host_is_asked(command: str, text: str, wrong: str, tmp_path: Path) -> None:
    sudo = tmp_path / "sudo"
    sudo.write_text('#!/bin/sh\nshift\nexec "$@"\n')
    sudo.chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", host_parts.as_root(command)],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    said, complaint = host_parts.read(done.stdout)
    assert (said.strip(), complaint) == (text, wrong)


def test_every_check_is_in_a_bundle_or_left_out_with_a_reason() -> None:
    taken = {check.command for check in command._checks()}
    checks = {name for name, command in COMMANDS.items() if isinstance(command, CheckCommand)}
    assert taken | set(command.LEFT_OUT) == checks
    assert not taken & set(command.LEFT_OUT)
