"""A vaulted variable is read through Ansible itself, and its value stays out of every message."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from obsctl.core.errors import ConfigError
from obsctl.fleet import vault

BIN = Path(sys.executable).parent
TOKEN = "t0ken-of-the-robot"


@pytest.fixture
def inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An inventory with one encrypted variable, whose password is available."""
    if not (BIN / "ansible-vault").exists():
        pytest.skip("Ansible is not installed here: pip install -e '.[control]'")
    (tmp_path / "password").write_text("open sesame")
    folder = tmp_path / "inventory"
    (folder / "group_vars/all").mkdir(parents=True)
    (folder / "hosts.yml").write_text("all:\n  hosts:\n    node1:\n")
    secret = folder / "group_vars/all/vault.yml"
    secret.write_text(f"vault_dingtalk_token: {TOKEN}\n")
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", str(tmp_path / "password"))
    subprocess.run([BIN / "ansible-vault", "encrypt", secret], check=True, capture_output=True, timeout=60)
    return folder


def test_a_vaulted_variable_is_read(inventory: Path) -> None:
    assert vault.reader(inventory)("vault_dingtalk_token") == TOKEN


@pytest.mark.parametrize("name", ["no_such_variable", "x y", "a;b"])
def test_what_is_not_there_is_said_with_its_name(inventory: Path, name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        vault.reader(inventory)(name)
    assert name in str(caught.value)
    assert TOKEN not in f"{caught.value}{caught.value.hint}"


def test_a_closed_vault_says_how_to_open_it(inventory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANSIBLE_VAULT_PASSWORD_FILE")
    with pytest.raises(ConfigError) as caught:
        vault.reader(inventory)("vault_dingtalk_token")
    assert "ANSIBLE_VAULT_PASSWORD_FILE" in caught.value.hint
