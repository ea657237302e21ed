"""The deployment manual's commands work as they are written; among them, the second ``site.yml`` changes nothing.

Before them, what an interrupted run leaves is put on two hosts and applied: that nothing of it remains to be changed is
shown by the same ``site.yml``.
"""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from tests.lab.conftest import BIN, ROOT, Fleet, play

_BLOCKS = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: Playbook, host, unit, and a file that the unit reads.
WRITTEN = (
    ("firewall", "app1", "firewalld", "/etc/firewalld/firewalld.conf"),
    ("kafka", "node2", "kafka", "/etc/kafka/server.properties"),
    ("nginx", "node2", "nginx", "/etc/nginx/nginx.conf"),
    ("consumer", "app1", "obsctl-alerter", "/etc/obsctl/alerter.yml"),
    ("filebeat", "node2", "filebeat", "/etc/filebeat/filebeat.yml"),
)


def commands() -> list[str]:
    """The lines of the manual's blocks marked ``sh``, in order."""
    manual = (ROOT / "docs/deployment-manual.md").read_text(encoding="utf-8")
    return [line for block in _BLOCKS.findall(manual) for line in block.splitlines() if line]


@pytest.fixture(scope="module")
def installed(fleet: Fleet) -> Fleet:
    """The lab, healthy before the first command."""
    fleet.wait_healthy()
    return fleet


def _last_changes(fleet: Fleet) -> dict[str, int]:
    show = ("systemctl", "show", "--property=StateChangeTimestampMonotonic", "--value")
    return {unit: int(fleet.ssh(host, *show, unit)) for _, host, unit, _ in WRITTEN}


def test_what_an_interrupted_run_wrote_and_did_not_apply_is_applied(installed: Fleet) -> None:
    before = _last_changes(installed)
    # What an interrupted run leaves: the right content, newer than the process.
    for _, host, _, file in WRITTEN:
        installed.ssh(host, "touch", file)
    run = play(*(f"playbooks/{playbook}.yml" for playbook, *_ in WRITTEN), "--limit", "node2,app1")
    assert run.code == 0, run.said
    for host in ("node2", "app1"):
        assert run.changes[host] >= sum(of == host for _, of, *_ in WRITTEN), run.said
    after = _last_changes(installed)
    assert [unit for unit in before if after[unit] <= before[unit]] == [], run.said
    installed.wait_healthy()


@pytest.mark.parametrize("command", commands())
def test_the_command_works(installed: Fleet, command: str) -> None:
    environment = {**os.environ, "INVENTORY": "inventories/lab", "PATH": f"{BIN}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=550, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    if "site.yml" in command and "--" not in command:
        assert not re.search(r"changed=[1-9]", done.stdout), done.stdout
