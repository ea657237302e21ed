"""The inventory's groups: one list, and the places that must repeat it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from rig import collection

from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.model import ROLES_OF_GROUP  # isort: skip

ROOT = collection.ROOT
GROUPS = list(ROLES_OF_GROUP)
PLAYBOOKS = sorted((ROOT / "ansible/playbooks").glob("*.yml"))


def patterns(playbook: Path) -> list[str]:
    """Return the host patterns of a playbook's own plays."""
    plays = yaml.safe_load(playbook.read_text(encoding="utf-8"))
    return [play["hosts"] for play in plays if "hosts" in play]


def test_every_host_is_meant_by_all_groups():
    """A play for more than one group is for all of them."""
    several = {(book.name, pattern) for book in PLAYBOOKS for pattern in patterns(book) if ":" in pattern}
    assert several == {
        (name, ":".join(GROUPS)) for name in ("certificates.yml", "common.yml", "firewall.yml", "preflight.yml")
    }


@pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda path: path.name)
def test_a_play_is_for_groups_that_the_preflight_knows(playbook):
    named = {group for pattern in patterns(playbook) for group in pattern.split(":")}
    assert named <= {*GROUPS, "all"}


def test_the_fleet_document_lists_the_same_groups():
    files = (ROOT / "roles").glob("*/vars/main.yml")
    variables = {name: value for path in files for name, value in yaml.safe_load(path.read_text()).items()}
    found = [value for value in variables.values() if isinstance(value, list) and "lb" in value]
    assert found == [GROUPS]


def test_the_programs_list_the_same_groups():
    lists = re.compile(r'[(\[{]("lb", *"backend",[^)\]}]*)[)\]}]')
    found = {
        path.name: re.findall(r'"(\w+)"', text)
        for path in (ROOT / "src").rglob("*.py")
        for text in lists.findall(path.read_text(encoding="utf-8"))
    }
    assert found, "no list is found: this test looks for what is written otherwise now"
    assert all(groups == GROUPS for groups in found.values()), found


def test_the_reference_lists_the_same_groups():
    text = (ROOT / "docs/reference/fleet.md").read_text(encoding="utf-8")
    assert ", ".join(f"`{group}`" for group in GROUPS) in text


@pytest.mark.parametrize("inventory", ["prod", "lab"])
def test_an_example_has_every_group(inventory):
    hosts = yaml.safe_load((ROOT / "inventories" / inventory / "hosts.yml").read_text(encoding="utf-8"))
    assert set(hosts["all"]["children"]) >= set(GROUPS)


def test_each_group_runs_roles_that_there_are():
    roles = {path.name for path in (ROOT / "roles").iterdir() if path.is_dir()}
    assert {role for of_group in ROLES_OF_GROUP.values() for role in of_group} <= roles
