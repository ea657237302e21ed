"""Mistakes in an inventory, as Ansible itself reports them: each gets its sentence, file and line."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from obsctl.core.errors import ConfigError
from obsctl.fleet import ansible, load, vault
from rig.ansible_cores import programs_of

SOUND = Path(__file__).parent / "inventories" / "preflight" / "sound"


@pytest.fixture(params=["own", "legacy"])
def inventory(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if request.param == "legacy":
        monkeypatch.setattr(ansible.sys, "executable", str(programs_of("legacy") / "python"))
    elif not (Path(sys.executable).parent / "ansible-playbook").exists():
        pytest.skip("Ansible is not installed here: pip install -e '.[control]'")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("ANSIBLE_VAULT_PASSWORD_FILE", raising=False)
    return Path(shutil.copytree(SOUND, tmp_path / "inventory"))


def refused(inventory: Path) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load.load(load.find(str(inventory)))
    return caught.value


def test_a_sound_inventory_is_read(inventory: Path) -> None:
    assert load.load(load.find(str(inventory))).hosts


def test_a_variable_that_two_hosts_lack(inventory: Path) -> None:
    hosts = inventory / "hosts.yml"
    text = hosts.read_text()
    assert text.count("kafka_node_id") >= 2, "the test's inventory has changed"
    kept, *others = text.split("kafka_node_id")
    hosts.write_text(kept + "kafka_node_id" + "kafka_node_di".join(others))
    assert "node2, node3 have no kafka_node_id" in str(refused(inventory))


def test_a_vault_without_a_password(inventory: Path) -> None:
    closed = inventory / "group_vars/all/zz_vault.yml"
    closed.parent.mkdir(parents=True, exist_ok=True)
    closed.write_text("$ANSIBLE_VAULT;1.1;AES256\n3161\n")
    error = refused(inventory)
    assert f"{closed} is encrypted" in str(error)
    assert "export ANSIBLE_VAULT_PASSWORD_FILE=" in error.hint


def test_a_vault_that_was_never_made(inventory: Path) -> None:
    (inventory / "group_vars/all").mkdir(parents=True, exist_ok=True)
    (inventory / "group_vars/all/vault.yml.example").touch()
    with pytest.raises(ConfigError, match=r"vault:vault_reader has no value: .*group_vars/all has no vault.yml"):
        vault.reader(inventory)("vault_reader")
