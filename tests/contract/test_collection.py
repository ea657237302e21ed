"""The collection's tarball: only what belongs to it, installable elsewhere, its playbook runnable from there."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
ROLES = {
    "backend", "certificates", "common", "console", "consumer", "filebeat", "firewall", "fleet_document", "fleet_tls",
    "fleet_topics", "java", "kafka", "keepalived", "mysql", "nginx", "obsctl",
}  # fmt: skip
#: Included while a play runs, which a list of its tasks does not show.
INCLUDED = {"certificates"}
#: What a person who installs the collection gets, and nothing else.
TOP = {
    "CHANGELOG.md", "CONTRIBUTING.md", "FILES.json", "LICENSE", "MANIFEST.json", "README.md",
    "ansible", "docs", "meta", "playbooks", "plugins", "roles",
}  # fmt: skip


def _run(*command: str | Path, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def tarball(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built collection."""
    if not (BIN / "ansible-galaxy").exists():
        pytest.skip("Ansible is not installed here: pip install -e '.[control]'")
    out = tmp_path_factory.mktemp("collection")
    _run(BIN / "ansible-galaxy", "collection", "build", "--output-path", out, cwd=project)
    (built,) = out.glob("obscraft-fleet-*.tar.gz")
    return built


def test_the_tarball_holds_the_collection_and_nothing_else(tarball: Path) -> None:
    with tarfile.open(tarball) as archive:
        names = [name.removeprefix("./") for name in archive.getnames()]
    parts = {part for name in names for part in Path(name).parts}
    assert {name.split("/", 1)[0] for name in names} <= TOP
    assert not [part for part in parts if part.startswith(".")], "hidden files would be published"
    assert not [name for name in names if "vault" in name.lower() or "__pycache__" in name]
    assert {Path(name).parts[1] for name in names if name.startswith("roles/") and len(Path(name).parts) > 1} == ROLES


def test_its_playbook_is_listed_from_where_it_is_installed(tarball: Path, project: Path, tmp_path: Path) -> None:
    collections = tmp_path / "collections"
    _run(BIN / "ansible-galaxy", "collection", "install", tarball, "--no-deps", "--offline", "-p", collections,
         cwd=tmp_path)  # fmt: skip
    listed = _run(
        BIN / "ansible-playbook", "obscraft.fleet.site", "-i", project / "inventories/prod", "--list-tasks",
        cwd=tmp_path, ANSIBLE_COLLECTIONS_PATH=str(collections),
    )  # fmt: skip
    for role in ROLES - INCLUDED:
        assert f"obscraft.fleet.{role}" in listed or f"{role} :" in listed, role


@pytest.mark.parametrize("mode", ["--syntax-check", "--list-tasks"])
def test_the_documentation_inventory_is_read_from_any_directory(project: Path, tmp_path: Path, mode: str) -> None:
    _run(BIN / "ansible-playbook", project / "site.yml", "-i", project / "inventories/prod", mode, cwd=tmp_path)
