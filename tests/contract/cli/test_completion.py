"""Completion as the shells call it: what ``--show-completion`` prints works in bash and in zsh."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from obsctl.fleet.model import Fleet, Host, Kafka, Topic


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """An environment with obsctl on PATH and an empty home."""
    program = tmp_path / "bin" / "obsctl"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nfrom obsctl.cli.main import main\nmain()\n")
    program.chmod(0o755)
    # Python's own paths too, where the tests run from a checkout.
    return {**os.environ, "HOME": str(tmp_path), "PATH": f"{program.parent}:/usr/bin:/bin"}


def bash(home: dict[str, str], words: list[str]) -> list[str]:
    """Return what the installed completion offers in bash for these words, of which the last is not finished."""
    script = (
        'source ~/.bash_completions/obsctl.sh; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1));'
        '_obsctl_completion obsctl; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", script, "bash", *words], env=home, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_offers_what_can_follow(home: dict[str, str]) -> None:
    subprocess.run(["bash", "-c", "obsctl --install-completion; true"], env=home, capture_output=True, check=True)
    assert "bash_completions/obsctl.sh" in Path(home["HOME"], ".bashrc").read_text()
    assert bash(home, ["obsctl", "he"]) == ["health"]
    assert {"status", "partitions", "lag", "canary"} <= set(bash(home, ["obsctl", "kafka", ""]))
    assert bash(home, ["obsctl", "-o", "n"]) == ["ndjson", "nagios"]
    assert bash(home, ["obsctl", "kafka", "partitions", "--t"]) == ["--topic"]
    assert bash(home, ["obsctl", "verify", "vip", "--un"]) == ["--until"]
    assert bash(home, ["obsctl", "lab", "ssh", "n"]) == ["node1", "node2", "node3"]
    assert bash(home, ["obsctl", "lab", "up", "--host-os", "db1="]) != []
    assert bash(home, ["obsctl", "explain", "LB_SK"]) == ["LB_SKEW"]


def test_names_of_the_fleet_are_offered_as_they_were_read_last(home: dict[str, str], tmp_path: Path) -> None:
    fleet = Fleet(
        hosts=(Host(name="app1", address="198.18.0.1", groups=("consumer",)), Host(name="db1", address="198.18.0.2")),
        kafka=Kafka(topics=(Topic(name="nginxlog", partitions=3), Topic(name="nginxerror", partitions=1))),
        alert_rules=({"name": "errors", "kind": "status"},),
        alert_channels=({"name": "hook", "type": "webhook"},),
    )
    path = tmp_path / "fleet.json"
    path.write_bytes(msgspec.json.encode(fleet))
    subprocess.run(["bash", "-c", "obsctl --install-completion; true"], env=home, capture_output=True, check=True)
    named = ["obsctl", "-i", str(path)]
    assert bash(home, [*named, "kafka", "partitions", "--topic", "nginxe"]) == ["nginxerror"]
    assert bash(home, ["obsctl", "kafka", "partitions", "-i", str(path), "--topic", ""]) == ["nginxlog", "nginxerror"]
    assert bash(home, [*named, "consumer", "reset", "--host", ""]) == ["app1"]
    assert bash(home, [*named, "alert", "test", "--rule", ""]) == ["errors"]
    assert bash(home, [*named, "alert", "test", "--channel", ""]) == ["hook"]
    assert bash(home, [*named, "health", "--ignore", "LB_SK"]) == ["LB_SKEW"]
    assert bash(home, [*named, "mute", "rm", "LB_SK"]) == ["LB_SKEW"]


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"schema":"obsctl/fleet/v1","hosts":7}'])
def test_an_inventory_that_cannot_be_read_offers_no_names_and_says_nothing(
    home: dict[str, str], tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "fleet.json"
    path.write_bytes(content)
    subprocess.run(["bash", "-c", "obsctl --install-completion; true"], env=home, capture_output=True, check=True)
    for inventory in (path, tmp_path / "absent", tmp_path):
        assert bash(home, ["obsctl", "-i", str(inventory), "kafka", "partitions", "--topic", ""]) == []


def test_zsh_can_read_what_it_is_given(home: dict[str, str]) -> None:
    if shutil.which("zsh") is None:
        pytest.skip("this machine has no zsh: apt-get install zsh")
    subprocess.run(["zsh", "-c", "obsctl --install-completion; true"], env=home, capture_output=True, check=True)
    # compdef and _arguments are zsh's own, of a shell with a terminal; here they say what they were given.
    script = (
        "compdef() { print compdef $@ }; _arguments() { print -l -- $@ }; source ~/.zfunc/_obsctl;"
        "words=(obsctl kafka ''); CURRENT=3; _obsctl_completion"
    )
    done = subprocess.run(["zsh", "-fc", script], env=home, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    assert "compdef _obsctl_completion obsctl" in done.stdout
    assert '"status":"Check brokers' in done.stdout
    assert '"partitions":"Show leader' in done.stdout


def test_a_shell_without_completion_is_a_usage_error(home: dict[str, str]) -> None:
    home["_OBSCTL_COMPLETE"] = "complete_csh"
    done = subprocess.run(["obsctl"], env=home, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (64, "")
    assert "csh not supported" in done.stderr
