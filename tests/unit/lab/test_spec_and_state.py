"""Names, addresses and the record of a lab."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

import pytest
import yaml

from obsctl.core import lab_record
from obsctl.lab.base import RECIPES
from obsctl.lab.spec import FLEET_LAB, OPERATING_SYSTEMS, HostSpec, LabSpec, fleet_lab

RECORD = lab_record.LabState(
    "/somewhere", "debian12", {"db1": "el9"}, {"debian12": "/d", "el9": "/e"}, lab_record.UP, "lo", "0"
)


def test_the_inventory_names_the_hosts_that_the_lab_makes(project: Path) -> None:
    inventory = yaml.safe_load((project / "inventories/lab/hosts.yml").read_text())["all"]
    made = {host.name: str(FLEET_LAB.address(host)) for host in FLEET_LAB.hosts}
    assert {name: entry["ansible_host"] for name, entry in inventory["hosts"].items()} == made
    assert inventory["vars"]["ansible_ssh_private_key_file"] == str(FLEET_LAB.ssh_dir / "id_ed25519")


def test_every_operating_system_has_a_recipe() -> None:
    assert set(OPERATING_SYSTEMS) == set(RECIPES)


def test_a_name_too_long_for_the_kernel_is_refused() -> None:
    with pytest.raises(ValueError, match="vb-much-too-long-node1"):
        replace(FLEET_LAB, prefix="much-too-long-")


def test_one_host_may_run_another_system() -> None:
    spec = replace(FLEET_LAB, os="debian12", host_os={"db1": "el9"})
    assert [spec.os_of(host) for host in spec.hosts] == ["debian12"] * 3 + ["el9", "debian12"]
    assert [RECORD.os_of(name) for name in ("db1", "app1")] == ["el9", "debian12"]
    with pytest.raises(ValueError, match="no host 'db2'"):
        replace(FLEET_LAB, host_os={"db2": "el9"})


def test_the_mixed_fleet_has_both_families_where_it_matters() -> None:
    def systems(spec: LabSpec) -> dict[str, str]:
        return {host.name: spec.os_of(host) for host in spec.hosts}

    mixed = systems(fleet_lab("mixed", {}))
    assert mixed == {"node1": "debian12", "node2": "el9", "node3": "el9", "db1": "el9", "app1": "debian12"}
    assert systems(fleet_lab("mixed", {"db1": "debian12"})) == {**mixed, "db1": "debian12"}
    assert set(systems(fleet_lab("el9", {})).values()) == {"el9"}


def test_names_and_addresses() -> None:
    host = HostSpec("one", 11)
    spec = LabSpec("t-", IPv4Network("198.18.77.0/24"), "br-t", Path("/x"), (host,))
    assert (spec.machine(host), spec.link(host)) == ("t-one", "vb-t-one")
    assert (str(spec.gateway), str(spec.address(host))) == ("198.18.77.1", "198.18.77.11")
    assert spec.host("one") is host
    with pytest.raises(KeyError):
        spec.host("two")


def test_the_record_survives_a_round_trip(tmp_path: Path) -> None:
    lab_record.write(tmp_path, RECORD)
    assert lab_record.read(tmp_path) == RECORD
    assert [entry.name for entry in tmp_path.iterdir()] == ["state.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"checkout": "/x"}', '{"unheard": 1}'])
def test_a_record_that_nobody_can_read_is_no_record(tmp_path: Path, text: str) -> None:
    (tmp_path / "state.json").write_text(text)
    assert lab_record.read(tmp_path) is None


def test_only_the_own_tree_and_only_when_up(tmp_path: Path) -> None:
    tree, other = tmp_path / "tree", tmp_path / "other"
    tree.mkdir()
    other.mkdir()
    (tmp_path / "link").symlink_to(tree)
    assert not lab_record.lab_of_tree_is_up(tree, tmp_path)
    mine = replace(RECORD, checkout=str(tree))
    lab_record.write(tmp_path, mine)
    assert lab_record.lab_of_tree_is_up(tree, tmp_path)
    assert lab_record.lab_of_tree_is_up(tmp_path / "link", tmp_path)
    assert not lab_record.lab_of_tree_is_up(other, tmp_path)
    for gone in (replace(mine, phase=lab_record.STARTING), replace(mine, bridge="br-nobody-has")):
        lab_record.write(tmp_path, gone)
        assert not lab_record.lab_of_tree_is_up(tree, tmp_path)
