"""The settings of this tree: what Ansible reads of an inventory's folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(sys.executable).parent / "ansible-inventory"


@pytest.mark.skipif(not PROGRAM.exists(), reason="Ansible is not installed here: pip install -e '.[control]'")
def test_files_beside_an_inventory_are_not_taken_for_lists_of_hosts(tmp_path: Path) -> None:
    """The first run makes the CA in ``pki``; the guides put certificates and texts into the other folders."""
    inventory = tmp_path / "inventory"
    shutil.copytree(ROOT / "inventories/prod", inventory)
    command = [PROGRAM, "-i", inventory, "--graph"]

    def said() -> tuple[str, str]:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
        return done.stdout, done.stderr

    bare = said()
    for name in ("pki/ca.pem", "pki/ca.key.pem", "files/shop.pem", "alert-templates/feishu.j2"):
        path = inventory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
    assert said() == bare
