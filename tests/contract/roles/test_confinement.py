"""What each unit may still do, as systemd itself counts it: from 0 (nothing left to take away) to 10."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from rig.rendered_role import RenderedNode

ROOT = Path(__file__).resolve().parents[3]
INVENTORY = ROOT / "inventories/lab"
#: How the distributions start what is theirs.
DISTRIBUTIONS = {
    "nginx": "Type=forking\nPIDFile=/run/nginx.pid\nExecStart=/bin/true",
    "keepalived": "Type=notify\nExecStart=/bin/true",
}
OWN = {"kafka": "kafka", "filebeat": "filebeat", "filebeat-watch": "filebeat", "obs-backend": "backend"}
#: The most that each unit may score; EL's keepalived has 0.2 more than Debian's, for NotifyAccess. Without our part,
#: the distributions' nginx and keepalived have 9.6.
WORST = {"kafka": 1.7, "filebeat": 1.5, "filebeat-watch": 2.0, "obs-backend": 1.4, "nginx": 3.0, "keepalived": 3.6}


def _unit(folder: Path, name: str) -> Path:
    """Write the unit as it is on a host, and return its file."""
    unit = folder / f"{name}.service"
    if name in OWN:
        unit.write_text(RenderedNode(INVENTORY, "node1", OWN[name]).file(f"{name}.service.j2"))
        return unit
    unit.write_text(f"[Service]\n{DISTRIBUTIONS[name]}\n")
    extensions = folder / f"{name}.service.d"
    extensions.mkdir()
    role = RenderedNode(INVENTORY, "node1", name)
    shutil.copy(ROOT / f"roles/{name}/files/obscraft.conf", extensions)
    text = (
        role.file("confinement.conf.j2")
        if name == "nginx"
        else (ROOT / f"roles/{name}/files/confinement.conf").read_text(encoding="utf-8")
    )
    (extensions / "obscraft_confinement.conf").write_text(text)
    return unit


def _systemd_analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed here")
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", WORST)
def test_a_unit_gives_up_what_it_does_not_need(tmp_path: Path, name: str) -> None:
    done = _systemd_analyze("security", "--offline=true", "--no-pager", _unit(tmp_path, name))
    if "nknown option" in done.stderr or "unrecognized option" in done.stderr:
        pytest.skip("this systemd cannot judge a unit file offline")
    level = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert level is not None, done.stderr
    assert float(level[1]) <= WORST[name], done.stdout


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_systemd_knows_every_setting(tmp_path: Path, name: str) -> None:
    assert "confinement" not in _systemd_analyze("verify", _unit(tmp_path, name)).stderr


def test_the_virtual_address_is_removed_once_and_with_all_privileges(tmp_path: Path) -> None:
    """Files of a unit's folder are read in the order of their names, and an empty value forgets the ones before."""
    unit = _unit(tmp_path, "keepalived")
    files = sorted((tmp_path / f"{unit.name}.d").iterdir())
    values = [
        line.partition("=")[2]
        for file in files
        for line in file.read_text().splitlines()
        if line.startswith("ExecStopPost=")
    ]
    last = values[values.index("") + 1 :]
    assert last == ["+" + values[0]]


@pytest.mark.parametrize("role", ["nginx", "keepalived"])
def test_a_systemd_without_groups_of_system_calls_gets_no_such_file(role: str) -> None:
    """That of EL7 ignores the name of a group and then allows none of its calls."""
    for major, written in (("7", False), ("8", True), ("9", True)):
        facts = {"os_family": "RedHat", "distribution_major_version": major}
        node = RenderedNode(INVENTORY, "node1", role, facts=facts)
        tasks = (ROOT / f"roles/{role}/tasks/main.yml").read_text()
        condition = re.search(r"include_tasks: confine.yml\n  when: (.*)", tasks)
        assert condition is not None
        assert node.value(condition[1]) is written, major


@pytest.mark.parametrize("name", OWN)
def test_a_unit_of_ours_names_no_groups_where_systemd_knows_none(name: str) -> None:
    for major, written in (("7", False), ("8", True), ("9", True)):
        facts = {"os_family": "RedHat", "distribution_major_version": major}
        unit = RenderedNode(INVENTORY, "node1", OWN[name], facts=facts).file(f"{name}.service.j2")
        assert ("SystemCallFilter=@" in unit) is written, major


def test_the_security_page_has_the_same_figures() -> None:
    page = " ".join((ROOT / "docs/security.md").read_text(encoding="utf-8").split())
    (said,) = re.findall(r"where 10 is unprotected, ([^|]*) \|", page)
    names = {"kafka": "Kafka", "filebeat": "Filebeat", "obs-backend": "the back end"}
    for unit, worst in WORST.items():
        assert re.search(rf"{names.get(unit, unit)} (has )?{worst}\b", said), (unit, said)
