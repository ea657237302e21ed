"""CentOS 7 and Stream 8 after their mirrors: stock repository files are sent to the archive, and no other file."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.contract.roles.conftest import BIN, HERE, ROOT

STOCK_7 = """\
[base]
name=CentOS-$releasever - Base
mirrorlist=http://mirrorlist.centos.org/?release=$releasever&arch=$basearch&repo=os&infra=$infra
#baseurl=http://mirror.centos.org/centos/$releasever/os/$basearch/
gpgcheck=1
gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-CentOS-7
"""
STOCK_8 = """\
[appstream]
name=CentOS Stream $releasever - AppStream
mirrorlist=http://mirrorlist.centos.org/?release=$stream&arch=$basearch&repo=AppStream&infra=$infra
#baseurl=http://mirror.centos.org/$contentdir/$stream/AppStream/$basearch/os/
gpgcheck=1
enabled=1
"""
OTHERS = {
    # The administrator's own mirror in a stock file, and the files of another project.
    "CentOS-Own.repo": "[base]\nbaseurl=http://mirror.corp.test/centos/7/os/\n#baseurl=http://mirror.centos.org/x/\n",
    "epel.repo": "[epel]\nmirrorlist=http://mirrorlist.centos.org/?repo=epel\n",
}


def rewrite(folder: Path, **values: str) -> str:
    done = subprocess.run(
        [BIN / "ansible-playbook", "-i", HERE / "inventory.yml", HERE / "mirrors.yml",
         "-e", json.dumps({"folder": str(folder), **values})],
        cwd=ROOT, env={**os.environ, "ANSIBLE_NOCOLOR": "1"}, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    if not (BIN / "ansible-playbook").exists():
        pytest.skip("Ansible is not installed here: pip install -e '.[control]'")
    for name, text in {"CentOS-Base.repo": STOCK_7, "CentOS-Stream-AppStream.repo": STOCK_8, **OTHERS}.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_stock_files_name_the_archive_and_all_else_stays(folder: Path) -> None:
    rewrite(folder)
    seven, eight = (folder / "CentOS-Base.repo").read_text(), (folder / "CentOS-Stream-AppStream.repo").read_text()
    assert "\nbaseurl=http://vault.centos.org/centos/$releasever/os/$basearch/\n" in seven
    assert "\nbaseurl=http://vault.centos.org/$contentdir/$stream/AppStream/$basearch/os/\n" in eight
    for text, stock in ((seven, STOCK_7), (eight, STOCK_8)):
        assert "\n#mirrorlist=" in text
        assert "\nmirrorlist=" not in text
        # Nothing but these two lines: signatures are still checked.
        assert len(set(text.splitlines()) ^ set(stock.splitlines())) == 4
    for name, text in OTHERS.items():
        assert (folder / name).read_text() == text


def test_a_second_run_changes_nothing_and_a_mirror_of_the_site_is_taken(folder: Path) -> None:
    rewrite(folder, common_vault_url="http://mirror.site.test/vault/")
    assert "baseurl=http://mirror.site.test/vault/centos/" in (folder / "CentOS-Base.repo").read_text()
    assert "changed=0" in rewrite(folder, common_vault_url="http://mirror.site.test/vault/")
