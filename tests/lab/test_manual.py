"""The deployment manual's commands work as they are written; among them, the second ``site.yml`` changes nothing."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from tests.lab.conftest import BIN, ROOT, Fleet

#: Minutes of a command that another drill gives as well: test_alert_on_the_wire.py, with what it leaves behind.
ELSEWHERE = 'obsctl -i "$INVENTORY" alert test --all-rules'
_BLOCKS = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """The lines of the manual's blocks marked ``sh``, in order."""
    manual = (ROOT / "docs/deployment-manual.md").read_text(encoding="utf-8")
    return [line for block in _BLOCKS.findall(manual) for line in block.splitlines() if line]


def test_what_another_drill_proves_is_in_the_manual() -> None:
    assert ELSEWHERE in commands()


@pytest.fixture(scope="module")
def installed(fleet: Fleet) -> Fleet:
    """The lab, healthy before the first command."""
    fleet.wait_healthy()
    return fleet


@pytest.mark.parametrize(
    "command", [pytest.param(one, marks=pytest.mark.long if one == ELSEWHERE else ()) for one in commands()]
)
def test_the_command_works(installed: Fleet, command: str) -> None:
    environment = {**os.environ, "INVENTORY": "inventories/lab", "PATH": f"{BIN}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=550, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    if "site.yml" in command and "--" not in command:
        assert not re.search(r"changed=[1-9]", done.stdout), done.stdout
