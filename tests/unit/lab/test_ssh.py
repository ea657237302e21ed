"""Arguments cross ssh, which joins them, and the remote shell, which splits them again."""

from __future__ import annotations

import subprocess

import pytest

from obsctl.lab import ssh
from obsctl.lab.spec import FLEET_LAB


@pytest.mark.parametrize(
    "argument",
    ["a b", "", "$HOME", "it's", '"', "*", "\n", "--", "-x", "`id`", "a;b", "\\", "é", "~", "#", "!!"],
)
def test_each_argument_reaches_the_program_as_given(argument: str) -> None:
    argv = ssh.command(FLEET_LAB, FLEET_LAB.host("node1"), ["printf", "%s|", argument, "end"])
    remote = " ".join(argv[argv.index("--") + 1 :])
    seen = subprocess.run(["sh", "-c", remote], capture_output=True, text=True, check=True).stdout
    assert seen == f"{argument}|end|"


def test_known_hosts_are_exact_and_the_persons_configuration_stays_out() -> None:
    argv = ssh.command(FLEET_LAB, FLEET_LAB.host("db1"))
    assert "StrictHostKeyChecking=yes" in argv
    assert argv[1:3] == ["-F", "none"]
    assert argv[-1] == "root@198.18.0.21"
